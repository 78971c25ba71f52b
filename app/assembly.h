/* What the workers own: memory, files, connections. Called by topology.c, in this order. */
#ifndef MR_APP_ASSEMBLY_H
#define MR_APP_ASSEMBLY_H

#include "app/topology.h"

/* An upper bound of the arena: reserved, touched only where used. */
size_t mr_assembly_memory(const struct mr_topology *topology);

/* Blocks of each slab; the rings on both sides of it are as large. */
#define MR_ROW_BLOCKS    48
#define MR_LETTER_BLOCKS 8
uint32_t mr_assembly_batches(const struct mr_topology *topology); /* a puller */
uint32_t mr_assembly_texts(const struct mr_topology *topology);   /* all of the reader */

/* The thread of each worker; see topology.c. */
struct mr_io *mr_topology_puller_io(struct mr_topology *topology, uint32_t puller);
struct mr_io *mr_topology_aggregator_io(struct mr_topology *topology, uint32_t aggregator);
struct mr_io *mr_topology_keeper_io(struct mr_topology *topology);

/* Where the services of this run are: addresses, TLS, credentials. PUBSUB_EMULATOR_HOST means
 * plaintext and no credentials for Pub/Sub, whatever the configuration says. */
int mr_assembly_endpoints(struct mr_topology *topology);

int mr_assembly_workers(struct mr_topology *topology, const struct mr_topology_files *files);
void mr_assembly_finish(struct mr_topology *topology);

#endif
