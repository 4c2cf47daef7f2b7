#include "store/internal/memory/run_tree.h"

#include "glog/logging.h"

namespace spillway {
namespace {

// Who stands above whom: as good as random, and nowhere stored.
uint32_t PriorityOf(RunId id) {
  uint64_t x = id * uint64_t{0x9e3779b97f4a7c15};
  x ^= x >> 32;
  return static_cast<uint32_t>(x * uint64_t{0xd6e8feb86659fd93} >> 32);
}

}  // namespace

void RunTree::Split(RunId subtree, uint64_t key, RunId* below, RunId* above) {
  while (subtree != kNoRun) {
    Run& run = (*runs_)[subtree];
    if (KeyOf(subtree) < key) {
      *below = subtree;
      below = &run.right;
      subtree = run.right;
    } else {
      *above = subtree;
      above = &run.left;
      subtree = run.left;
    }
  }
  *below = kNoRun;
  *above = kNoRun;
}

RunId RunTree::Join(RunId below, RunId above) {
  RunId root = kNoRun;
  RunId* link = &root;
  while (below != kNoRun && above != kNoRun) {
    if (PriorityOf(below) > PriorityOf(above)) {
      *link = below;
      link = &(*runs_)[below].right;
      below = *link;
    } else {
      *link = above;
      link = &(*runs_)[above].left;
      above = *link;
    }
  }
  *link = below != kNoRun ? below : above;
  return root;
}

void RunTree::Insert(RunId id) {
  const uint64_t key = KeyOf(id);
  RunId* link = &root_;
  while (*link != kNoRun && PriorityOf(*link) >= PriorityOf(id)) {
    Run& run = (*runs_)[*link];
    link = KeyOf(*link) < key ? &run.right : &run.left;
  }
  Run& run = (*runs_)[id];
  const RunId displaced = *link;
  *link = id;
  Split(displaced, key, &run.left, &run.right);
}

void RunTree::Erase(RunId id) {
  const uint64_t key = KeyOf(id);
  RunId* link = &root_;
  while (*link != id) {
    CHECK_NE(*link, kNoRun) << "run " << id << " is not in the tree";
    Run& run = (*runs_)[*link];
    link = KeyOf(*link) < key ? &run.right : &run.left;
  }
  Run& run = (*runs_)[id];
  *link = Join(run.left, run.right);
  run.left = kNoRun;
  run.right = kNoRun;
}

RunId RunTree::BestFit(uint32_t pages) const {
  RunId best = kNoRun;
  for (RunId id = root_; id != kNoRun;) {
    const Run& run = (*runs_)[id];
    if (run.pages >= pages) {
      best = id;
      id = run.left;
    } else {
      id = run.right;
    }
  }
  return best;
}

RunId RunTree::Largest() const {
  RunId largest = kNoRun;
  for (RunId id = root_; id != kNoRun; id = (*runs_)[id].right) largest = id;
  return largest;
}

RunId RunTree::Previous(RunId id) const {
  const uint64_t key = KeyOf(id);
  RunId previous = kNoRun;
  for (RunId at = root_; at != kNoRun;) {
    if (KeyOf(at) < key) {
      previous = at;
      at = (*runs_)[at].right;
    } else {
      at = (*runs_)[at].left;
    }
  }
  return previous;
}

}  // namespace spillway
