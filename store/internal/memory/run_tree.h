// Free runs in the order of their size, then of their address: a treap whose links stand in the run
// descriptors (C. R. Aragon and R. G. Seidel, "Randomized search trees", 1989). Insertion, removal
// and the searches take O(log n) expected steps and allocate nothing.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TREE_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TREE_H_

#include <cstdint>

#include "store/internal/memory/run_table.h"

namespace spillway {

// Thread-safety: none; its owner locks.
class RunTree {
 public:
  explicit RunTree(RunTable* runs) : runs_(runs) {}

  // REQUIRES: the run is in no tree. Its pages and start must not change while it is in one.
  void Insert(RunId id);
  // REQUIRES: the run is in this tree.
  void Erase(RunId id);

  // The smallest run of at least `pages` pages, of several the one at the lowest address; or
  // kNoRun.
  RunId BestFit(uint32_t pages) const;
  // The largest run, of several the one at the highest address; or kNoRun.
  RunId Largest() const;
  // The run before `id` in the order, or kNoRun.
  RunId Previous(RunId id) const;

  bool empty() const { return root_ == kNoRun; }

 private:
  uint64_t KeyOf(RunId id) const {
    return (uint64_t{(*runs_)[id].pages} << 32) | (*runs_)[id].start_page;
  }
  // Splits the subtree into runs below and above `key`.
  void Split(RunId subtree, uint64_t key, RunId* below, RunId* above);
  // Joins two subtrees of which the first holds the smaller keys.
  RunId Join(RunId below, RunId above);

  RunTable* const runs_;
  RunId root_ = kNoRun;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TREE_H_
