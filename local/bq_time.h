/* Dates and times of day of the Gregorian calendar, as BigQuery reads and writes them.
 * Pure. `put` writes fixed-width text at `at` and returns its end; `take` reads one off a cursor
 * and is false when it is malformed or no such date or time exists. */
#ifndef MR_LOCAL_BQ_TIME_H
#define MR_LOCAL_BQ_TIME_H

#include "local/bq_value.h"

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59.999999. Source: "Data types", TIMESTAMP. */
#define MR_BQ_TIME_US_MIN INT64_C(-62135596800000000)
#define MR_BQ_TIME_US_MAX INT64_C(253402300799999999)
#define MR_BQ_DAYS_MIN    (-719162)
#define MR_BQ_DAYS_MAX    2932896

struct mr_bq_civil {
    int32_t year, month, day;
    uint32_t hour, minute, second, us;
};

bool mr_bq_civil_valid(const struct mr_bq_civil *civil);
int64_t mr_bq_days_of(int64_t year, int64_t month, int64_t day);
void mr_bq_date_of(int64_t days, struct mr_bq_civil *civil); /* year, month and day only */
int64_t mr_bq_civil_us(const struct mr_bq_civil *civil);
void mr_bq_civil_of(int64_t us, struct mr_bq_civil *civil);
char *mr_bq_date_put(char *at, const struct mr_bq_civil *civil);
char *mr_bq_time_put(char *at, const struct mr_bq_civil *civil);
bool mr_bq_date_take(struct mr_cursor *cursor, struct mr_bq_civil *civil);
bool mr_bq_time_take(struct mr_cursor *cursor, struct mr_bq_civil *civil);

#endif
