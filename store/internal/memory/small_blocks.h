// Small blocks: spans of equal blocks, per size class and shard.
//
// A shard of a class owns its spans, under a lock of its own. A thread takes blocks from the shard
// of the processor it runs on, or from another one before any new page is committed; a block is
// freed to the shard that owns its span. Nothing is cached per thread: every free block can be had
// at any time.
//
// A span stands in one of these buckets:
//
// - 0 to 7: free blocks on committed pages; 0 holds the fullest spans. Blocks are taken from here
//   first, in this order.
// - kBucketEmpty: the same, and no block is allocated; one span per shard. Taken from next.
// - kBucketUncommitted: free blocks, but only on pages yet to be committed.
// - kBucketDraining: named by CollectSparse. Taken from as the last resort.
// - kBucketDetached: some of its idle pages are being returned. Not taken from.
// - kBucketNone: full.
//
// Filling the fullest spans first lets the others run empty, and their pages serve other sizes.
// Pages of a span that lie under no block are *idle*, and can be returned to the system one by one.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_SMALL_BLOCKS_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_SMALL_BLOCKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "store/internal/memory/page_heap.h"
#include "store/internal/memory/run_table.h"
#include "store/internal/memory/size_classes.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway {

// Thread-safety: every method may be called by any thread, but for the two that say otherwise.
class SmallBlocks {
 public:
  // `shards` is a power of two.
  SmallBlocks(char* region, uint32_t shards, RunTable* runs, PageHeap* pages, PageCharges* charges);

  // Bytes that a SmallBlocks with so many shards takes itself.
  static uint64_t BytesFor(uint32_t shards);

  // Takes a free block on committed pages. Returns its offset in the region, or kNoBlock.
  uint64_t TakeReady(uint32_t size_class, uint64_t size, uint32_t tag);

  struct Taken {
    TakeOutcome outcome;
    uint64_t offset = kNoBlock;
    uint64_t missing = 0;
  };
  // Takes a block after it has made one available: in a new span of free committed pages, or by
  // committing pages, with pages in hand first, then by the budget.
  Taken TakeByExtending(uint32_t size_class, uint64_t size, uint32_t tag, uint64_t* in_hand);

  // Gives spans that were named by CollectSparse and are not empty yet back to everyday use; true
  // if there were any of the class.
  bool StopDraining(uint32_t size_class);

  // Frees the block at `offset` of span `id`. That the block is allocated is CHECKed.
  void Free(RunId id, uint64_t offset, uint64_t size);

  // Counts `bytes` of a block's payload as rounding from now on.
  void ShrinkPayload(RunId id, uint64_t bytes);

  // Gives spans without blocks back to the page heap. True if there were any.
  bool PutEmptySpans();

  // Returns up to `pages` idle pages of spans to the system. They stay charged: the result says how
  // many the caller has in hand.
  uint64_t ReturnIdle(uint64_t pages);

  // Committed pages under no block. A few atomic loads.
  uint64_t idle_pages() const;

  // See Arena::CollectSparse.
  uint64_t CollectSparse(uint64_t want_bytes, size_t tags_max, std::vector<uint32_t>* tags);

  struct Totals {
    uint64_t blocks = 0;
    uint64_t block_bytes = 0;
    uint64_t payload_bytes = 0;
  };
  // Holds everything still from here ...
  void LockAll() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // ... (REQUIRES: LockAll was called) ...
  Totals SumLocked() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // ... to here.
  void UnlockAll() const ABSL_NO_THREAD_SAFETY_ANALYSIS;

  static constexpr uint64_t kNoBlock = ~uint64_t{0};

 private:
  static constexpr uint32_t kFillBuckets = 8;
  static constexpr uint8_t kBucketEmpty = 8;
  static constexpr uint8_t kBucketUncommitted = 9;
  static constexpr uint8_t kBucketDraining = 10;
  static constexpr uint32_t kBuckets = 11;  // that have a list
  static constexpr uint8_t kBucketNone = 11;
  static constexpr uint8_t kBucketDetached = 12;

  // One class's part of one shard.
  struct alignas(64) Shard {
    mutable SpinLock lock;
    uint16_t filled_buckets ABSL_GUARDED_BY(lock) =
        0;  // bit per bucket with a list that is not empty
    RunId buckets[kBuckets] ABSL_GUARDED_BY(lock) = {};
    RunId idle_head ABSL_GUARDED_BY(lock) = kNoRun;
    uint64_t blocks ABSL_GUARDED_BY(lock) = 0;
    uint64_t payload_bytes ABSL_GUARDED_BY(lock) = 0;
    // Written under the lock, read without to see whether taking it is worth while.
    std::atomic<uint32_t> ready_blocks{0};
    std::atomic<uint32_t> idle_pages{0};
  };
  static_assert(sizeof(Shard) == 128);

  struct alignas(64) IdleCount {
    std::atomic<uint64_t> pages{0};
  };

  Shard& ShardOf(uint32_t size_class, uint32_t shard) const {
    return shards_[size_class * shard_count_ + shard];
  }
  uint32_t ThisShard() const;
  uint8_t BucketFor(const Run& span) const;

  void Link(Shard* shard, RunId id, uint8_t bucket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  void Unlink(Shard* shard, RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  void MoveTo(Shard* shard, RunId id, uint8_t bucket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  void SetIdle(Shard* shard, RunId id, uint32_t idle_pages)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);

  // Takes the span out of all lists and sums; only Free may touch it until Attach.
  void Detach(Shard* shard, RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  // Computes anew what follows from the span's bitmaps, and lists it accordingly.
  void Attach(Shard* shard, RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);

  // Takes block `block` of the span, which is free and on committed pages.
  uint64_t TakeBlock(Shard* shard, RunId id, uint32_t block, uint64_t size, uint32_t tag)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  uint64_t TakeReadyFrom(Shard* shard, uint64_t size, uint32_t tag)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  // Commits the pages under one free block of a span in the uncommitted bucket, and takes the
  // block.
  Taken CommitOne(Shard* shard, uint64_t size, uint32_t tag, uint64_t* in_hand)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->lock);
  void AddSpan(uint32_t size_class, uint32_t shard_index, RunId id);
  // Pages among `pages` of the span that are committed and under no block.
  static uint64_t IdleAmong(const Run& span, uint64_t pages);
  // As above, for the pages under `block`, which is free: quicker.
  static uint32_t IdleUnder(const Run& span, uint32_t block);

  // Constant after construction.
  char* const region_;
  const uint32_t shard_count_;
  RunTable* const runs_;
  PageHeap* const pages_;
  PageCharges* const charges_;
  // Whether each shard keeps an empty span. Not where it would keep a whole commit unit from
  // returning.
  const bool keep_empty_;
  const std::unique_ptr<Shard[]> shards_;           // class by class; constant but for its contents
  const std::unique_ptr<IdleCount[]> idle_counts_;  // by shard: sums of Shard::idle_pages

  std::atomic<uint32_t> idle_cursor_{0};  // where ReturnIdle looks first
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_SMALL_BLOCKS_H_
