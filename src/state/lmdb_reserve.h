/* Memory of LMDB. What takes over the lock of a process that died first looks through the readers,
 * with a list that it asks malloc() for. Without memory it would leave the lock in a state in which
 * nobody gets it any more, ENOTRECOVERABLE, until all processes have closed the environment. So one
 * block is kept for that moment: the calls that may take over a lock are put between begin and end,
 * and in between, and only there, a malloc() of LMDB that fails gets the block.
 *
 * LMDB's sources are compiled with malloc and free replaced by these (meson.build). */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of the block: a process number for each reader. */
#define SLUICE_LMDB_RESERVE 4096

void sluice_lmdb_reserve_begin(void);
void sluice_lmdb_reserve_end(void);

void* sluice_lmdb_malloc(size_t bytes);
void sluice_lmdb_free(void* memory);

#ifdef __cplusplus
}

namespace sluice::state {

/** Around a call of LMDB that may take over the lock of a process that died. */
class MayTakeOver {
 public:
  MayTakeOver() { sluice_lmdb_reserve_begin(); }
  ~MayTakeOver() { sluice_lmdb_reserve_end(); }
  MayTakeOver(const MayTakeOver&) = delete;
  MayTakeOver& operator=(const MayTakeOver&) = delete;
};

}  // namespace sluice::state
#endif
