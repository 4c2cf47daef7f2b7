#include "store/internal/memory/small_blocks.h"

#include <sched.h>

#include <algorithm>
#include <bit>

#include "glog/logging.h"
#include "store/internal/memory/block_poison.h"

namespace spillway {
namespace {

constexpr uint64_t BitOf(uint32_t index) { return uint64_t{1} << index; }

}  // namespace

SmallBlocks::SmallBlocks(char* region, uint32_t shards, RunTable* runs, PageHeap* pages,
                         PageCharges* charges)
    : region_(region),
      shard_count_(shards),
      runs_(runs),
      pages_(pages),
      charges_(charges),
      keep_empty_(pages->commit_unit_pages() == 1),
      shards_(new Shard[kSizeClasses * shards]),
      idle_counts_(new IdleCount[shards]) {
  CHECK(std::has_single_bit(shards));
}

uint64_t SmallBlocks::BytesFor(uint32_t shards) {
  return sizeof(SmallBlocks) + shards * (kSizeClasses * sizeof(Shard) + sizeof(IdleCount));
}

uint32_t SmallBlocks::ThisShard() const {
  if (shard_count_ == 1) return 0;
  // Threads that run at the same time are on different processors. A failure (-1) is some shard,
  // too.
  return static_cast<uint32_t>(sched_getcpu()) & (shard_count_ - 1);
}

uint8_t SmallBlocks::BucketFor(const Run& span) const {
  if (span.free_blocks == 0) return kBucketNone;
  if ((span.free_blocks & span.backed_blocks) == 0) return kBucketUncommitted;
  if (span.used_blocks == 0) return kBucketEmpty;
  const SizeClass& size_class = kSizeClassTable[span.size_class];
  const uint32_t eighths_used =
      (uint32_t{span.used_blocks} * kFillBuckets) >> size_class.blocks_log2;
  return static_cast<uint8_t>(kFillBuckets - 1 - eighths_used);
}

void SmallBlocks::Link(Shard* shard, RunId id, uint8_t bucket) {
  Run& span = (*runs_)[id];
  span.bucket = bucket;
  if (bucket >= kBuckets) return;
  span.left = kNoRun;
  span.right = shard->buckets[bucket];
  if (span.right != kNoRun) (*runs_)[span.right].left = id;
  shard->buckets[bucket] = id;
  shard->filled_buckets = static_cast<uint16_t>(shard->filled_buckets | (1u << bucket));
}

void SmallBlocks::Unlink(Shard* shard, RunId id) {
  Run& span = (*runs_)[id];
  if (span.bucket >= kBuckets) return;
  if (span.right != kNoRun) (*runs_)[span.right].left = span.left;
  if (span.left != kNoRun) {
    (*runs_)[span.left].right = span.right;
  } else {
    shard->buckets[span.bucket] = span.right;
    if (span.right == kNoRun) {
      shard->filled_buckets = static_cast<uint16_t>(shard->filled_buckets & ~(1u << span.bucket));
    }
  }
}

void SmallBlocks::MoveTo(Shard* shard, RunId id, uint8_t bucket) {
  if ((*runs_)[id].bucket == bucket) return;
  Unlink(shard, id);
  Link(shard, id, bucket);
}

void SmallBlocks::SetIdle(Shard* shard, RunId id, uint32_t idle_pages) {
  Run& span = (*runs_)[id];
  const int64_t change = int64_t{idle_pages} - int64_t{span.idle_pages};
  if (change == 0) return;
  span.idle_pages = static_cast<uint8_t>(idle_pages);
  shard->idle_pages.store(
      static_cast<uint32_t>(shard->idle_pages.load(std::memory_order_relaxed) + change),
      std::memory_order_relaxed);
  idle_counts_[span.shard].pages.fetch_add(static_cast<uint64_t>(change),
                                           std::memory_order_relaxed);
  const bool listed = idle_pages != 0;
  if (listed == span.in_idle_list) return;
  span.in_idle_list = listed;
  if (listed) {
    span.idle_previous = kNoRun;
    span.idle_next = shard->idle_head;
    if (span.idle_next != kNoRun) (*runs_)[span.idle_next].idle_previous = id;
    shard->idle_head = id;
  } else {
    if (span.idle_next != kNoRun) (*runs_)[span.idle_next].idle_previous = span.idle_previous;
    (span.idle_previous != kNoRun ? (*runs_)[span.idle_previous].idle_next : shard->idle_head) =
        span.idle_next;
  }
}

uint64_t SmallBlocks::IdleAmong(const Run& span, uint64_t pages) {
  const SizeClass& size_class = kSizeClassTable[span.size_class];
  uint64_t idle = 0;
  for (uint64_t left = pages & span.committed_pages; left != 0; left &= left - 1) {
    const uint32_t page = std::countr_zero(left);
    if ((size_class.BlocksOnPage(page) & ~span.free_blocks) == 0) idle |= BitOf(page);
  }
  return idle;
}

uint32_t SmallBlocks::IdleUnder(const Run& span, uint32_t block) {
  const SizeClass& size_class = kSizeClassTable[span.size_class];
  const uint32_t first = size_class.FirstPageOf(block);
  const uint32_t last = size_class.LastPageOf(block);
  // Only the first and the last page can have other blocks on them.
  uint32_t idle = (size_class.BlocksOnPage(first) & ~span.free_blocks) == 0;
  if (last == first) return idle;
  idle += (size_class.BlocksOnPage(last) & ~span.free_blocks) == 0;
  return idle + (last - first - 1);
}

void SmallBlocks::Detach(Shard* shard, RunId id) {
  Run& span = (*runs_)[id];
  const uint32_t ready = std::popcount(span.free_blocks & span.backed_blocks);
  shard->ready_blocks.store(shard->ready_blocks.load(std::memory_order_relaxed) - ready,
                            std::memory_order_relaxed);
  SetIdle(shard, id, 0);
  MoveTo(shard, id, kBucketDetached);
}

void SmallBlocks::Attach(Shard* shard, RunId id) {
  Run& span = (*runs_)[id];
  const SizeClass& size_class = kSizeClassTable[span.size_class];
  span.backed_blocks = 0;
  for (uint32_t block = 0; block < size_class.blocks; ++block) {
    if ((size_class.PagesUnder(block) & ~span.committed_pages) == 0) {
      span.backed_blocks |= BitOf(block);
    }
  }
  const uint32_t ready = std::popcount(span.free_blocks & span.backed_blocks);
  shard->ready_blocks.store(shard->ready_blocks.load(std::memory_order_relaxed) + ready,
                            std::memory_order_relaxed);
  SetIdle(shard, id, std::popcount(IdleAmong(span, size_class.AllPages())));
  MoveTo(shard, id, BucketFor(span));
}

void SmallBlocks::AddSpan(uint32_t size_class_index, uint32_t shard_index, RunId id) {
  const SizeClass& size_class = kSizeClassTable[size_class_index];
  Run& span = (*runs_)[id];
  PoisonBlocks(region_ + uint64_t{span.start_page} * kPageBytes, span.pages * kPageBytes);
  span.size_class = static_cast<uint8_t>(size_class_index);
  span.shard = static_cast<uint8_t>(shard_index);
  span.free_blocks = size_class.AllBlocks();
  span.used_blocks = 0;
  span.idle_pages = 0;
  span.in_idle_list = false;
  span.bucket = kBucketDetached;
  Shard& shard = ShardOf(size_class_index, shard_index);
  SpinLockHolder hold(&shard.lock);
  Attach(&shard, id);
}

uint64_t SmallBlocks::TakeBlock(Shard* shard, RunId id, uint32_t block, uint64_t size,
                                uint32_t tag) {
  Run& span = (*runs_)[id];
  const uint32_t block_bytes = kSizeClassTable[span.size_class].block_bytes;
  if (span.idle_pages != 0) SetIdle(shard, id, span.idle_pages - IdleUnder(span, block));
  span.free_blocks &= ~BitOf(block);
  ++span.used_blocks;
  shard->ready_blocks.store(shard->ready_blocks.load(std::memory_order_relaxed) - 1,
                            std::memory_order_relaxed);
  ++shard->blocks;
  shard->payload_bytes += size;
  if (span.tag_block != 0) runs_->Tags(span.tag_block)[block] = tag;
  MoveTo(shard, id, BucketFor(span));
  return uint64_t{span.start_page} * kPageBytes + uint64_t{block} * block_bytes;
}

uint64_t SmallBlocks::TakeReadyFrom(Shard* shard, uint64_t size, uint32_t tag) {
  constexpr uint32_t kTakeable = (1u << kFillBuckets) - 1 + (1u << kBucketEmpty);
  const uint32_t filled = shard->filled_buckets & kTakeable;
  if (filled == 0) return kNoBlock;
  const RunId id = shard->buckets[std::countr_zero(filled)];
  const Run& span = (*runs_)[id];
  return TakeBlock(shard, id, std::countr_zero(span.free_blocks & span.backed_blocks), size, tag);
}

uint64_t SmallBlocks::TakeReady(uint32_t size_class, uint64_t size, uint32_t tag) {
  const uint32_t own = ThisShard();
  {
    Shard& shard = ShardOf(size_class, own);
    SpinLockHolder hold(&shard.lock);
    const uint64_t offset = TakeReadyFrom(&shard, size, tag);
    if (offset != kNoBlock) return offset;
  }
  for (uint32_t i = 1; i < shard_count_; ++i) {
    Shard& shard = ShardOf(size_class, (own + i) & (shard_count_ - 1));
    if (shard.ready_blocks.load(std::memory_order_relaxed) == 0) continue;
    SpinLockHolder hold(&shard.lock);
    const uint64_t offset = TakeReadyFrom(&shard, size, tag);
    if (offset != kNoBlock) return offset;
  }
  return kNoBlock;
}

SmallBlocks::Taken SmallBlocks::CommitOne(Shard* shard, uint64_t size, uint32_t tag,
                                          uint64_t* in_hand) {
  const RunId id = shard->buckets[kBucketUncommitted];
  if (id == kNoRun) return {TakeOutcome::kNone};
  Run& span = (*runs_)[id];
  const uint32_t block = std::countr_zero(span.free_blocks);
  const uint64_t pages = kSizeClassTable[span.size_class].PagesUnder(block) & ~span.committed_pages;
  const uint32_t page_count = std::popcount(pages);
  if (!charges_->TryHave(page_count, in_hand)) {
    return {TakeOutcome::kNeedsPages, kNoBlock, page_count - *in_hand};
  }
  *in_hand -= page_count;
  pages_->CountCommitted(page_count);
  Detach(shard, id);
  span.committed_pages |= pages;
  Attach(shard, id);
  return {TakeOutcome::kTaken, TakeBlock(shard, id, block, size, tag)};
}

SmallBlocks::Taken SmallBlocks::TakeByExtending(uint32_t size_class_index, uint64_t size,
                                                uint32_t tag, uint64_t* in_hand) {
  const SizeClass& size_class = kSizeClassTable[size_class_index];
  const bool whole_spans = pages_->commit_unit_pages() > 1;
  const uint32_t own = ThisShard();
  Shard& shard = ShardOf(size_class_index, own);
  PageHeap::Taken run = pages_->TakeCommitted(size_class.pages, RunKind::kSpan);
  if (run.outcome == TakeOutcome::kNone) {
    if (whole_spans) {
      run = pages_->TakeAndCommit(size_class.pages, RunKind::kSpan, in_hand);
    } else {
      {
        SpinLockHolder hold(&shard.lock);
        const Taken taken = CommitOne(&shard, size, tag, in_hand);
        if (taken.outcome != TakeOutcome::kNone) return taken;
      }
      run = pages_->TakeUncommitted(size_class.pages);
    }
  }
  if (run.outcome != TakeOutcome::kTaken) return {run.outcome, kNoBlock, run.missing};
  AddSpan(size_class_index, own, run.run);
  SpinLockHolder hold(&shard.lock);
  const uint64_t offset = TakeReadyFrom(&shard, size, tag);
  if (offset != kNoBlock) return {TakeOutcome::kTaken, offset};
  // None if other threads were quicker to use the new span up: the caller asks again.
  const Taken taken = CommitOne(&shard, size, tag, in_hand);
  if (taken.outcome == TakeOutcome::kNone) return {TakeOutcome::kNeedsPages, kNoBlock, 0};
  return taken;
}

bool SmallBlocks::StopDraining(uint32_t size_class) {
  bool any = false;
  for (uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = ShardOf(size_class, i);
    SpinLockHolder hold(&shard.lock);
    while (shard.buckets[kBucketDraining] != kNoRun) {
      const RunId id = shard.buckets[kBucketDraining];
      MoveTo(&shard, id, BucketFor((*runs_)[id]));
      any = true;
    }
  }
  return any;
}

void SmallBlocks::Free(RunId id, uint64_t offset, uint64_t size) {
  Run& span = (*runs_)[id];
  const SizeClass& size_class = kSizeClassTable[span.size_class];
  const uint32_t span_offset =
      static_cast<uint32_t>(offset - uint64_t{span.start_page} * kPageBytes);
  const uint32_t block = size_class.BlockAt(span_offset);
  CHECK_EQ(block * size_class.block_bytes, span_offset) << "no block starts at offset " << offset;
  CHECK_LE(size, size_class.block_bytes) << "the block at offset " << offset << " is smaller";
  Shard& shard = ShardOf(span.size_class, span.shard);
  RunId leaving = kNoRun;
  {
    SpinLockHolder hold(&shard.lock);
    CHECK_EQ(span.free_blocks & BitOf(block), 0u)
        << "the block at offset " << offset << " is freed twice";
    span.free_blocks |= BitOf(block);
    --span.used_blocks;
    --shard.blocks;
    shard.payload_bytes -= size;
    if (span.bucket == kBucketDetached) return;
    shard.ready_blocks.store(shard.ready_blocks.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    const uint32_t idle = IdleUnder(span, block);
    if (idle != 0) SetIdle(&shard, id, span.idle_pages + idle);
    const bool draining = span.bucket == kBucketDraining;
    if (span.used_blocks != 0) {
      if (!draining) MoveTo(&shard, id, BucketFor(span));
    } else if (draining || !keep_empty_ || shard.buckets[kBucketEmpty] != kNoRun) {
      Detach(&shard, id);
      leaving = id;
    } else {
      MoveTo(&shard, id, kBucketEmpty);
    }
  }
  if (leaving != kNoRun) pages_->Put(leaving);
}

void SmallBlocks::ShrinkPayload(RunId id, uint64_t bytes) {
  const Run& span = (*runs_)[id];
  Shard& shard = ShardOf(span.size_class, span.shard);
  SpinLockHolder hold(&shard.lock);
  shard.payload_bytes -= bytes;
}

bool SmallBlocks::PutEmptySpans() {
  bool any = false;
  for (uint32_t i = 0; i < kSizeClasses * shard_count_; ++i) {
    Shard& shard = shards_[i];
    // An empty span has idle pages: there is nothing to do without.
    while (shard.idle_pages.load(std::memory_order_relaxed) != 0) {
      RunId id;
      {
        SpinLockHolder hold(&shard.lock);
        id = shard.buckets[kBucketEmpty];
        if (id == kNoRun) break;
        Detach(&shard, id);
      }
      pages_->Put(id);
      any = true;
    }
  }
  return any;
}

uint64_t SmallBlocks::idle_pages() const {
  uint64_t pages = 0;
  for (uint32_t i = 0; i < shard_count_; ++i) {
    pages += idle_counts_[i].pages.load(std::memory_order_relaxed);
  }
  return pages;
}

uint64_t SmallBlocks::ReturnIdle(uint64_t pages) {
  if (pages_->commit_unit_pages() > 1) return 0;
  uint64_t returned = 0;
  const uint32_t shards = kSizeClasses * shard_count_;
  uint32_t at = idle_cursor_.load(std::memory_order_relaxed) % shards;
  for (uint32_t looked_at = 0; looked_at < shards && returned < pages;) {
    Shard& shard = shards_[at];
    RunId id = kNoRun;
    uint64_t mask = 0;
    bool draining = false;
    if (shard.idle_pages.load(std::memory_order_relaxed) != 0) {
      SpinLockHolder hold(&shard.lock);
      id = shard.idle_head;
      if (id != kNoRun) {
        const Run& span = (*runs_)[id];
        draining = span.bucket == kBucketDraining;
        Detach(&shard, id);
        mask = IdleAmong(span, span.committed_pages);
      }
    }
    if (id == kNoRun) {
      at = at + 1 == shards ? 0 : at + 1;
      ++looked_at;
      continue;
    }
    // From the end of the span, where blocks are used last.
    Run& span = (*runs_)[id];
    uint64_t chosen = 0;
    while (mask != 0 && returned < pages) {
      const uint32_t last = 63 - std::countl_zero(mask);
      const uint32_t stretch = std::countl_one(mask << (63 - last));
      const uint32_t length = static_cast<uint32_t>(std::min<uint64_t>(stretch, pages - returned));
      pages_->ReturnToSystem(span.start_page + last + 1 - length, length);
      const uint64_t bits = (~uint64_t{0} >> (64 - length)) << (last + 1 - length);
      chosen |= bits;
      mask &= ~bits;
      returned += length;
    }
    bool leaving = false;
    {
      SpinLockHolder hold(&shard.lock);
      span.committed_pages &= ~chosen;
      leaving = span.used_blocks == 0;
      if (!leaving) Attach(&shard, id);
      if (!leaving && draining) MoveTo(&shard, id, kBucketDraining);
    }
    if (leaving) pages_->Put(id);
  }
  idle_cursor_.store(at, std::memory_order_relaxed);
  return returned;
}

uint64_t SmallBlocks::CollectSparse(uint64_t want_bytes, size_t tags_max,
                                    std::vector<uint32_t>* tags) {
  if (!runs_->has_tags()) return 0;
  uint64_t found_bytes = 0;
  const size_t end = tags->size() + tags_max;
  tags->reserve(end);  // not under a lock
  for (uint8_t bucket = kFillBuckets; bucket-- > 0;) {
    for (uint32_t i = 0; i < kSizeClasses * shard_count_; ++i) {
      Shard& shard = shards_[i];
      if (shard.ready_blocks.load(std::memory_order_relaxed) == 0) continue;
      SpinLockHolder hold(&shard.lock);
      while (shard.buckets[bucket] != kNoRun) {
        if (found_bytes >= want_bytes) return found_bytes;
        const RunId id = shard.buckets[bucket];
        const Run& span = (*runs_)[id];
        if (tags->size() + span.used_blocks > end) return found_bytes;
        const uint64_t used = ~span.free_blocks & kSizeClassTable[span.size_class].AllBlocks();
        for (uint64_t left = used; left != 0; left &= left - 1) {
          tags->push_back(runs_->Tags(span.tag_block)[std::countr_zero(left)]);
        }
        // Idle pages can be had without anybody's leaving.
        found_bytes += (std::popcount(span.committed_pages) - span.idle_pages) * kPageBytes;
        MoveTo(&shard, id, kBucketDraining);
      }
    }
  }
  return found_bytes;
}

void SmallBlocks::LockAll() const {
  for (uint32_t i = 0; i < kSizeClasses * shard_count_; ++i) shards_[i].lock.Lock();
}

SmallBlocks::Totals SmallBlocks::SumLocked() const {
  Totals totals;
  for (uint32_t size_class = 0; size_class < kSizeClasses; ++size_class) {
    for (uint32_t i = 0; i < shard_count_; ++i) {
      const Shard& shard = ShardOf(size_class, i);
      totals.blocks += shard.blocks;
      totals.block_bytes += shard.blocks * kSizeClassTable[size_class].block_bytes;
      totals.payload_bytes += shard.payload_bytes;
    }
  }
  return totals;
}

void SmallBlocks::UnlockAll() const {
  for (uint32_t i = kSizeClasses * shard_count_; i-- > 0;) shards_[i].lock.Unlock();
}

}  // namespace spillway
