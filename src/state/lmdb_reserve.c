#include "lmdb_reserve.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>

static _Thread_local bool may_use;
static _Thread_local bool in_use;
static _Thread_local alignas(max_align_t) char block[SLUICE_LMDB_RESERVE];

void sluice_lmdb_reserve_begin(void) { may_use = true; }
void sluice_lmdb_reserve_end(void) { may_use = false; }

void* sluice_lmdb_malloc(size_t bytes) {
  void* const memory = malloc(bytes);
  if (memory != NULL || !may_use || in_use || bytes > sizeof block) return memory;
  in_use = true;
  return block;
}

void sluice_lmdb_free(void* memory) {
  if (memory == block) {
    in_use = false;
  } else {
    free(memory);
  }
}
