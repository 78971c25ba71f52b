/* The tables that a configuration writes, made in the local BigQuery: what `millrace local
 * --tables CONFIG` does before it serves. */
#ifndef MR_APP_LOCAL_TABLES_H
#define MR_APP_LOCAL_TABLES_H

#include <stdbool.h>

#include "local/bigquery.h"

/* Makes the dataset and one table a window definition; what is there already stays as it is.
 * False after telling on standard error what is wrong with the configuration or a name. */
bool mr_local_tables_make(struct mr_bq *store, const char *config_path);

#endif
