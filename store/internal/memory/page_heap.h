// Runs of pages: which parts of the arena's region are free, which of the free ones are committed,
// and how committed pages are charged to the budget and returned to the system.
//
// Free runs are kept in two trees, committed and uncommitted, and merge with free neighbours of the
// same kind. A request is served best fit, of equal ones at the lowest address. Address space
// beyond the frontier was never used; it is entered only when no free run below fits.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_PAGE_HEAP_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_PAGE_HEAP_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "store/internal/memory/memory_budget.h"
#include "store/internal/memory/run_table.h"
#include "store/internal/memory/run_tree.h"
#include "store/internal/memory/size_classes.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway {

// The account of committed pages. Pages charged here and in use nowhere are "in hand": their holder
// commits or uncommits them.
//
// Thread-safety: every method may be called by any thread.
class PageCharges {
 public:
  explicit PageCharges(MemoryBudget* budget) : budget_(budget) {}

  // Charges pages about to be touched; false if the budget does not have them.
  [[nodiscard]] bool TryCommit(uint64_t pages) {
    if (!budget_->TryAcquire(MemoryUse::kArena, pages * kPageBytes)) return false;
    committed_pages_.fetch_add(pages, std::memory_order_relaxed);
    return true;
  }
  // Releases pages in hand, which are not touched.
  void Uncommit(uint64_t pages) {
    if (pages == 0) return;
    committed_pages_.fetch_sub(pages, std::memory_order_relaxed);
    budget_->Release(MemoryUse::kArena, pages * kPageBytes);
  }
  // Makes `pages` in hand a charge for metadata.
  void MoveToMetadata(uint64_t pages) {
    committed_pages_.fetch_sub(pages, std::memory_order_relaxed);
    budget_->Transfer(MemoryUse::kArena, MemoryUse::kArenaMetadata, pages * kPageBytes);
  }
  // Makes sure that *in_hand holds at least `pages`. If the budget does not give the difference,
  // false, and *in_hand holds what it did give.
  [[nodiscard]] bool TryHave(uint64_t pages, uint64_t* in_hand) {
    if (*in_hand >= pages) return true;
    if (TryCommit(pages - *in_hand)) {
      *in_hand = pages;
      return true;
    }
    const uint64_t some = budget_->available_bytes() / kPageBytes;
    if (some > 0 && some < pages - *in_hand && TryCommit(some)) *in_hand += some;
    return false;
  }

  uint64_t committed_pages() const { return committed_pages_.load(std::memory_order_relaxed); }
  MemoryBudget* budget() const { return budget_; }

 private:
  MemoryBudget* const budget_;
  std::atomic<uint64_t> committed_pages_{0};
};

// What came of asking the arena's parts for pages.
enum class TakeOutcome {
  kTaken,
  kNone,           // no free run of that kind is large enough; the region is too full
  kNeedsPages,     // `missing` pages have to be charged first
  kNeedsMetadata,  // `missing` bytes of metadata have to be charged first
};

// Thread-safety: every method may be called by any thread.
class PageHeap {
 public:
  // `commit_unit_pages`: pages are committed and returned in aligned groups of so many, a power of
  // two. `region` is aligned to them, and inaccessible until the frontier passes.
  PageHeap(char* region, uint32_t region_pages, uint32_t commit_unit_pages, RunTable* runs,
           PageCharges* charges);

  struct Taken {
    TakeOutcome outcome = TakeOutcome::kNone;
    RunId run = kNoRun;
    uint64_t missing = 0;
    RunId keep = kNoRun;  // with kNeedsPages: a free run that ReturnFree had better leave alone
  };

  // Takes a free committed run of `pages` pages as a run of `kind`, kLarge or kSpan. A span also
  // gets a tag block if there are tags.
  Taken TakeCommitted(uint32_t pages, RunKind kind);

  // Takes free address space for a span whose pages are to be committed one by one. Only with a
  // commit unit of one page.
  Taken TakeUncommitted(uint32_t pages);

  // Takes free address space and commits what of it is not, with pages in hand first, then by the
  // budget. A large run may consist of a committed one and its uncommitted neighbours.
  Taken TakeAndCommit(uint32_t pages, RunKind kind, uint64_t* in_hand);

  // Takes back a large run, or a span of which committed_pages says what is committed.
  void Put(RunId id);

  // Cuts a large run down to its first `pages` pages and takes back the rest. False if it has to
  // stay as it is for want of a descriptor.
  bool Shrink(RunId id, uint32_t pages);

  // Returns about `pages` free committed pages to the system; more if the commit unit says so,
  // fewer if there are not as many. They stay charged: the result says how many the caller has in
  // hand. `keep` is spared where others do, if it still is a free run.
  uint64_t ReturnFree(uint64_t pages, RunId keep = kNoRun);

  // Adds to what metadata may grow by.
  void AddMetadataCharge(uint64_t bytes);

  // Free committed pages that ReturnFree could return. One atomic load.
  uint64_t returnable_pages() const { return returnable_pages_.load(std::memory_order_relaxed); }
  uint32_t frontier_page() const { return frontier_.load(std::memory_order_relaxed); }
  uint64_t pages_committed_total() const {
    return committed_total_.load(std::memory_order_relaxed);
  }
  uint64_t pages_returned_total() const { return returned_total_.load(std::memory_order_relaxed); }
  void CountCommitted(uint64_t pages) {
    committed_total_.fetch_add(pages, std::memory_order_relaxed);
  }
  // Returns pages to the system, which is one call of it. The pages must be out of everybody's
  // reach.
  void ReturnToSystem(uint32_t start_page, uint32_t pages);

  uint32_t commit_unit_pages() const { return unit_; }

 private:
  // Pages of a free committed run that form whole commit units.
  uint32_t ReturnablePages(const Run& run) const;
  RunTree* TreeOf(RunKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void InsertFree(RunId id, RunKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void EraseFree(RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Merges a run that is in no tree with free neighbours of `kind`, and inserts it as such.
  void Merge(RunId id, RunKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Cuts a run that is in no tree after its first `pages` pages; returns the rest, in no tree
  // either.
  RunId Cut(RunId id, uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Finds free uncommitted address space of `pages` pages, a multiple of the commit unit, below the
  // frontier or beyond; the run found is in no tree, and exactly as long.
  RunId FindUncommitted(uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void BecomeUsed(RunId id, RunKind kind, bool committed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void MapEnds(RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void PutSpan(RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Takes a run of about `pages` pages to be returned out of the tree; kNoRun if there is none.
  RunId PickReturnable(uint64_t pages, RunId keep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // A committed run and the free uncommitted pages beside it.
  struct Joint {
    RunId run = kNoRun;
    RunId left = kNoRun;
    RunId right = kNoRun;
    uint32_t pages_from_left = 0;
    uint32_t pages_from_right = 0;
  };
  // Finds a large one that makes `pages` pages; its run is kNoRun if there is none.
  Joint FindJoint(uint32_t pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Makes one run of it, in no tree.
  RunId TakeJoint(const Joint& joint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);

  // Constant after construction.
  char* const region_;
  const uint32_t region_pages_;
  const uint32_t unit_;
  RunTable* const runs_;
  PageCharges* const charges_;

  std::atomic<uint64_t> returnable_pages_{0};  // written under lock_
  std::atomic<uint32_t> frontier_{0};          // written under lock_
  std::atomic<uint64_t> committed_total_{0};
  std::atomic<uint64_t> returned_total_{0};

  // Also guards the run table, but for what its methods say of the owners of blocks. No other lock
  // but the budget's is taken under it.
  SpinLock lock_;
  RunTree committed_ ABSL_GUARDED_BY(lock_);
  RunTree uncommitted_ ABSL_GUARDED_BY(lock_);
  uint64_t accessible_bytes_ ABSL_GUARDED_BY(lock_) = 0;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_PAGE_HEAP_H_
