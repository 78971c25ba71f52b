#include "windows/account.h"

void mr_account_add(struct mr_account *into, const struct mr_account *from)
{
    /* Only counters, all of one width: add them as the array that they are. */
    uint64_t *to = (uint64_t *)into;
    const uint64_t *more = (const uint64_t *)from;

    _Static_assert(sizeof *into % sizeof *to == 0, "an account is an array of counters");
    for (size_t i = 0; i < sizeof *into / sizeof *to; i++)
        to[i] += more[i];
}

const char *mr_account_broken_law(const struct mr_account *account, bool all_fired)
{
    if (account->received != account->duplicates + account->admitted + account->letters)
        return "received = duplicates + admitted + letters";
    if (account->pairs_assigned != account->pairs_added + account->pairs_late)
        return "pairs assigned = added + late";
    if (all_fired && account->pairs_fired != account->pairs_added)
        return "pairs added = pairs behind the rows";
    return NULL;
}
