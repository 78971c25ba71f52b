/* Where credentials are found, and what is in their files. Private to credentials*.c. */
#ifndef MR_KEEPER_CREDENTIALS_FILE_H
#define MR_KEEPER_CREDENTIALS_FILE_H

#include "keeper/credentials.h"

/* Fills kind, from and the texts that the kind needs. MR_OK or MR_E_CREDENTIALS with `why`. */
int mr_credentials_find(struct mr_credentials *credentials);

#endif
