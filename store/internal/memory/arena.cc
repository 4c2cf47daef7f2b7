#include "store/internal/memory/arena.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "store/internal/memory/block_poison.h"
#include "store/internal/memory/page_heap.h"
#include "store/internal/memory/run_table.h"
#include "store/internal/memory/size_classes.h"
#include "store/internal/memory/small_blocks.h"
#include "store/internal/memory/spin_lock.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace spillway {
namespace {

static_assert(kNoOffset == SmallBlocks::kNoBlock);

constexpr uint64_t kHugePageBytes = 2 << 20;
constexpr uint64_t kRegionBytesMin = 4 << 20;
constexpr uint64_t kRegionBytesMax = uint64_t{8} << 40;
constexpr uint64_t kDefaultRegionBytesMin = uint64_t{4} << 30;
constexpr uint64_t kRegionPerLimit = 16;
constexpr uint64_t kRegionPerLimitMin = 4;

constexpr uint32_t kShardsMax = 16;
// Below this much memory per shard, what rarely used classes hold in each weighs more than
// contention.
constexpr uint64_t kLimitPerShard = 64 << 20;

constexpr int kFreedByte = 0xef;
constexpr uint64_t kPrefaultStepPages = 16384;

// Rather than have pages returned, a small block is taken from one of so many larger classes, and
// at most by so much too large.
constexpr uint32_t kLargerClasses = 4;
constexpr uint64_t kLargerFraction = 8;

// A block larger than this part of the limit leaves no slack: it may need everything that is free.
constexpr uint64_t kSlackSizeFraction = 8;

// A loop of Allocate that lost a race starts anew; each round means that another thread got on.
constexpr int kRoundsMax = 256;

constexpr uint64_t RoundUp(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}
// Without overflow for "as many as there are".
constexpr uint64_t PagesFor(uint64_t bytes) {
  return bytes / kPageBytes + (bytes % kPageBytes != 0);
}

// Inaccessible address space, aligned to huge pages.
struct Region {
  char* data = nullptr;
  uint64_t bytes = 0;
};

Region ReserveRegion(uint64_t bytes) {
  const uint64_t with_slack = bytes + kHugePageBytes;
  void* const mapped =
      mmap(nullptr, with_slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return {};
  char* const begin = static_cast<char*>(mapped);
  char* const data =
      reinterpret_cast<char*>(RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePageBytes));
  if (data > begin) munmap(begin, data - begin);
  char* const end = begin + with_slack;
  if (end > data + bytes) munmap(data + bytes, end - (data + bytes));
  return {data, bytes};
}

uint32_t ChooseShards(uint64_t limit_bytes) {
  const uint64_t processors = std::max(1u, std::thread::hardware_concurrency());
  const uint64_t shards = std::min(processors, limit_bytes / kLimitPerShard);
  return static_cast<uint32_t>(std::bit_floor(std::clamp<uint64_t>(shards, 1, kShardsMax)));
}

}  // namespace

class Arena::Impl {
 public:
  Impl(const ArenaOptions& options, Region region, uint32_t shards, uint64_t fixed_bytes,
       std::unique_ptr<RunTable> runs, MemoryBudget* budget)
      : options_(options),
        region_(region),
        budget_(budget),
        fixed_bytes_(fixed_bytes),
        charges_(budget),
        runs_(std::move(runs)),
        pages_(region.data, static_cast<uint32_t>(region.bytes / kPageBytes),
               options.huge_pages ? kHugePageBytes / kPageBytes : 1, runs_.get(), &charges_),
        small_(region.data, shards, runs_.get(), &pages_, &charges_) {}

  ~Impl() {
    UnpoisonBlocks(region_.data, uint64_t{pages_.frontier_page()} * kPageBytes);
    munmap(region_.data, region_.bytes);
    charges_.Uncommit(charges_.committed_pages());
    budget_->Release(MemoryUse::kArenaMetadata, fixed_bytes_);
  }

  Region region() const { return region_; }
  const PageCharges& charges() const { return charges_; }

  uint64_t AllocateSmall(uint64_t size, BlockTag tag, AllocateEffort effort);
  uint64_t AllocateLarge(uint64_t size, AllocateEffort effort);
  void Free(uint64_t offset, uint64_t size);
  uint64_t ShrinkInPlace(uint64_t offset, uint64_t old_size, uint64_t new_size);
  uint64_t BlockSizeAt(uint64_t offset) const;
  ArenaUsage Usage() const;
  uint64_t ReclaimablePages() const { return pages_.returnable_pages() + IdlePages(); }
  uint64_t Trim(uint64_t want_bytes);
  uint64_t Prefault(uint64_t bytes);
  uint64_t CollectSparse(uint64_t want_bytes, size_t tags_max, std::vector<BlockTag>* tags) {
    return small_.CollectSparse(want_bytes, tags_max, tags);
  }

 private:
  // Idle pages of spans can be returned only where pages are committed one by one.
  uint64_t IdlePages() const { return options_.huge_pages ? 0 : small_.idle_pages(); }

  // The run of the allocated block at `offset`, a small one or a large one of its own.
  RunId FindRun(uint64_t offset) const;

  // Returns about `pages` committed pages without payload to the system; the result is how many are
  // in hand then.
  uint64_t ReturnPages(uint64_t pages, RunId keep = kNoRun);

  // What a Take asked for and did not get: tries to get it, and leaves `slack_pages` where they
  // are. True if it is worth asking again.
  bool Provide(TakeOutcome outcome, uint64_t missing, AllocateEffort effort, uint64_t slack_pages,
               RunId keep, uint64_t* in_hand);

  // Free pages that an allocation leaves alone.
  uint64_t SlackFor(uint64_t size, AllocateEffort effort) const {
    if (effort != AllocateEffort::kBalanced) return 0;
    const uint64_t limit = budget_->limit_bytes();
    if (size > limit / kSlackSizeFraction) return 0;
    return static_cast<uint64_t>(static_cast<double>(limit / kPageBytes) * options_.slack);
  }

  // Takes a free block that is a little too large.
  uint64_t TakeLarger(uint32_t size_class, uint64_t size, BlockTag tag);

  // Constant after construction.
  const ArenaOptions options_;
  const Region region_;
  MemoryBudget* const budget_;
  const uint64_t fixed_bytes_;  // of metadata, charged at construction

  PageCharges charges_;
  const std::unique_ptr<RunTable> runs_;
  PageHeap pages_;
  SmallBlocks small_;

  // Taken before the page heap's lock where both are.
  mutable SpinLock large_lock_;
  uint64_t large_blocks_ ABSL_GUARDED_BY(large_lock_) = 0;
  uint64_t large_block_bytes_ ABSL_GUARDED_BY(large_lock_) = 0;
  uint64_t large_payload_bytes_ ABSL_GUARDED_BY(large_lock_) = 0;
};

uint64_t Arena::Impl::ReturnPages(uint64_t pages, RunId keep) {
  uint64_t in_hand = pages_.ReturnFree(pages, keep);
  if (in_hand < pages && small_.PutEmptySpans()) in_hand += pages_.ReturnFree(pages - in_hand);
  if (in_hand < pages) in_hand += small_.ReturnIdle(pages - in_hand);
  return in_hand;
}

bool Arena::Impl::Provide(TakeOutcome outcome, uint64_t missing, AllocateEffort effort,
                          uint64_t slack_pages, RunId keep, uint64_t* in_hand) {
  if (outcome == TakeOutcome::kNone) return false;
  if (missing == 0) return true;
  if (effort == AllocateEffort::kReuse) return false;
  const uint64_t missing_pages =
      outcome == TakeOutcome::kNeedsMetadata ? PagesFor(missing) : missing;
  const bool from_hand = outcome == TakeOutcome::kNeedsMetadata && *in_hand >= missing_pages;
  if (!from_hand) {
    // The usual refusal of a full store ends here.
    if (ReclaimablePages() < missing_pages + slack_pages) return false;
    const uint64_t returned = ReturnPages(missing_pages, keep);
    *in_hand += returned;
    if (returned == 0) return false;
    // While the limit is exceeded, what comes free belongs to the budget.
    if (budget_->excess_bytes() > 0) return false;
  }
  if (outcome == TakeOutcome::kNeedsMetadata) {
    if (*in_hand < missing_pages) return false;
    charges_.MoveToMetadata(missing_pages);
    *in_hand -= missing_pages;
    pages_.AddMetadataCharge(missing_pages * kPageBytes);
  }
  return true;
}

uint64_t Arena::Impl::TakeLarger(uint32_t size_class, uint64_t size, BlockTag tag) {
  const uint64_t block_bytes = kSizeClassTable[size_class].block_bytes;
  for (uint32_t i = size_class + 1; i <= size_class + kLargerClasses && i < kSizeClasses; ++i) {
    if (kSizeClassTable[i].block_bytes > block_bytes + block_bytes / kLargerFraction) break;
    const uint64_t offset = small_.TakeReady(i, size, tag);
    if (offset != kNoOffset) return offset;
  }
  return kNoOffset;
}

uint64_t Arena::Impl::AllocateSmall(uint64_t size, BlockTag tag, AllocateEffort effort) {
  const uint32_t size_class = SizeClassOf(size);
  uint64_t offset = small_.TakeReady(size_class, size, tag);
  if (offset != kNoOffset) {
    UnpoisonBlocks(region_.data + offset, size);
    return offset;
  }
  const uint64_t slack_pages = SlackFor(size, effort);
  uint64_t in_hand = 0;
  for (int round = 0; offset == kNoOffset && round < kRoundsMax; ++round) {
    const SmallBlocks::Taken taken = small_.TakeByExtending(size_class, size, tag, &in_hand);
    offset = taken.offset;
    if (taken.outcome == TakeOutcome::kTaken) break;
    if (taken.outcome == TakeOutcome::kNeedsPages && in_hand == 0) {
      offset = TakeLarger(size_class, size, tag);
      if (offset != kNoOffset) break;
    }
    if (Provide(taken.outcome, taken.missing, effort, slack_pages, kNoRun, &in_hand)) continue;
    if (!small_.StopDraining(size_class)) break;
    offset = small_.TakeReady(size_class, size, tag);
  }
  charges_.Uncommit(in_hand);
  if (offset != kNoOffset) UnpoisonBlocks(region_.data + offset, size);
  return offset;
}

uint64_t Arena::Impl::AllocateLarge(uint64_t size, AllocateEffort effort) {
  if (size > region_.bytes) return kNoOffset;
  const uint32_t pages = static_cast<uint32_t>(PagesFor(size));
  const uint64_t slack_pages = SlackFor(size, effort);
  uint64_t in_hand = 0;
  RunId id = kNoRun;
  for (int round = 0; round < kRoundsMax; ++round) {
    PageHeap::Taken taken = pages_.TakeCommitted(pages, RunKind::kLarge);
    if (taken.outcome == TakeOutcome::kNone) {
      if (IdlePages() >= pages && small_.PutEmptySpans()) {
        taken = pages_.TakeCommitted(pages, RunKind::kLarge);
      }
    }
    if (taken.outcome == TakeOutcome::kNone) {
      taken = pages_.TakeAndCommit(pages, RunKind::kLarge, &in_hand);
    }
    id = taken.run;
    if (taken.outcome == TakeOutcome::kTaken) break;
    if (!Provide(taken.outcome, taken.missing, effort, slack_pages, taken.keep, &in_hand)) break;
  }
  charges_.Uncommit(in_hand);
  if (id == kNoRun) return kNoOffset;
  const uint64_t offset = uint64_t{(*runs_)[id].start_page} * kPageBytes;
  UnpoisonBlocks(region_.data + offset, size);
  SpinLockHolder hold(&large_lock_);
  ++large_blocks_;
  large_block_bytes_ += uint64_t{pages} * kPageBytes;
  large_payload_bytes_ += size;
  return offset;
}

RunId Arena::Impl::FindRun(uint64_t offset) const {
  const uint32_t page = static_cast<uint32_t>(offset >> kPageShift);
  CHECK_LT(page, pages_.frontier_page()) << "no block was ever at offset " << offset;
  const RunId id = runs_->RunOfPage(page);
  const Run& run = (*runs_)[id];
  CHECK(run.kind == RunKind::kSpan ||
        (run.kind == RunKind::kLarge && offset == uint64_t{run.start_page} * kPageBytes))
      << "there is no block at offset " << offset;
  return id;
}

uint64_t Arena::Impl::BlockSizeAt(uint64_t offset) const {
  const Run& run = (*runs_)[FindRun(offset)];
  return run.kind == RunKind::kSpan ? kSizeClassTable[run.size_class].block_bytes
                                    : run.pages * kPageBytes;
}

void Arena::Impl::Free(uint64_t offset, uint64_t size) {
  const RunId id = FindRun(offset);
  const Run& run = (*runs_)[id];
  if (run.kind == RunKind::kSpan) {
    CHECK_LE(size, kSizeClassTable[run.size_class].block_bytes)
        << "the block at offset " << offset << " is smaller";
  } else {
    CHECK_LE(PagesFor(size), run.pages) << "the block at offset " << offset << " is smaller";
  }
  char* const data = region_.data + offset;
  if (options_.poison_freed) std::memset(data, kFreedByte, size);
  if (run.kind == RunKind::kSpan) {
    PoisonBlocks(data, kSizeClassTable[run.size_class].block_bytes);
    small_.Free(id, offset, size);
    return;
  }
  PoisonBlocks(data, run.pages * kPageBytes);
  {
    SpinLockHolder hold(&large_lock_);
    --large_blocks_;
    large_block_bytes_ -= run.pages * kPageBytes;
    large_payload_bytes_ -= size;
  }
  pages_.Put(id);
}

uint64_t Arena::Impl::ShrinkInPlace(uint64_t offset, uint64_t old_size, uint64_t new_size) {
  CHECK_LE(new_size, old_size);
  const RunId id = FindRun(offset);
  const Run& run = (*runs_)[id];
  char* const data = region_.data + offset;
  if (options_.poison_freed) std::memset(data + new_size, kFreedByte, old_size - new_size);
  // The sanitizer's granule is 8 bytes; the cut may fall within one, which UnpoisonBlocks knows.
  PoisonBlocks(data, RoundUp(old_size, 8));
  UnpoisonBlocks(data, new_size);
  if (run.kind == RunKind::kSpan) {
    small_.ShrinkPayload(id, old_size - new_size);
    return 0;
  }
  const uint32_t old_pages = run.pages;
  const uint32_t new_pages = static_cast<uint32_t>(PagesFor(new_size));
  CHECK_LE(PagesFor(old_size), old_pages) << "the block at offset " << offset << " is smaller";
  SpinLockHolder hold(&large_lock_);
  large_payload_bytes_ -= old_size - new_size;
  if (new_pages == old_pages || !pages_.Shrink(id, new_pages)) return 0;
  const uint64_t freed_bytes = uint64_t{old_pages - new_pages} * kPageBytes;
  large_block_bytes_ -= freed_bytes;
  return freed_bytes;
}

ArenaUsage Arena::Impl::Usage() const {
  ArenaUsage usage;
  small_.LockAll();
  SmallBlocks::Totals totals = small_.SumLocked();
  {
    SpinLockHolder hold(&large_lock_);
    totals.blocks += large_blocks_;
    totals.block_bytes += large_block_bytes_;
    totals.payload_bytes += large_payload_bytes_;
    // While no block can come or go, their pages stay committed.
    usage.committed_bytes = charges_.committed_pages() * kPageBytes;
  }
  small_.UnlockAll();
  CHECK_GE(usage.committed_bytes, totals.block_bytes);
  usage.blocks = totals.blocks;
  usage.payload_bytes = totals.payload_bytes;
  usage.rounding_bytes = totals.block_bytes - totals.payload_bytes;
  usage.free_committed_bytes = usage.committed_bytes - totals.block_bytes;
  usage.metadata_bytes = fixed_bytes_ + runs_->metadata_bytes();
  usage.region_bytes = region_.bytes;
  usage.frontier_bytes = uint64_t{pages_.frontier_page()} * kPageBytes;
  usage.pages_committed_total = pages_.pages_committed_total();
  usage.pages_returned_total = pages_.pages_returned_total();
  return usage;
}

uint64_t Arena::Impl::Trim(uint64_t want_bytes) {
  const uint64_t pages = ReturnPages(PagesFor(want_bytes));
  charges_.Uncommit(pages);
  return pages * kPageBytes;
}

uint64_t Arena::Impl::Prefault(uint64_t bytes) {
  uint64_t wanted = PagesFor(bytes);
  uint64_t done = 0;
  while (wanted > 0) {
    uint64_t in_hand = 0;
    uint64_t pages = std::min(wanted, kPrefaultStepPages);
    PageHeap::Taken taken;
    for (int round = 0; round < kRoundsMax; ++round) {
      taken = pages_.TakeAndCommit(static_cast<uint32_t>(pages), RunKind::kLarge, &in_hand);
      if (taken.outcome == TakeOutcome::kNeedsPages) {
        // The last step takes what is left, in whole commit units.
        const uint64_t rest = in_hand / pages_.commit_unit_pages() * pages_.commit_unit_pages();
        if (rest == 0 || rest >= pages) break;
        pages = rest;
      } else if (taken.outcome != TakeOutcome::kNeedsMetadata ||
                 !Provide(taken.outcome, taken.missing, AllocateEffort::kReclaim, 0, kNoRun,
                          &in_hand)) {
        break;
      }
    }
    charges_.Uncommit(in_hand);
    if (taken.outcome != TakeOutcome::kTaken) break;
    char* const data = region_.data + uint64_t{(*runs_)[taken.run].start_page} * kPageBytes;
    if (madvise(data, pages * kPageBytes, MADV_POPULATE_WRITE) != 0) {
      // A kernel before 5.14.
      UnpoisonBlocks(data, pages * kPageBytes);
      for (uint64_t i = 0; i < pages; ++i) *static_cast<volatile char*>(data + i * kPageBytes) = 0;
    }
    PoisonBlocks(data, pages * kPageBytes);
    pages_.Put(taken.run);
    done += pages;
    wanted -= pages;
  }
  return done * kPageBytes;
}

absl::StatusOr<std::unique_ptr<Arena>> Arena::Create(const ArenaOptions& options,
                                                     MemoryBudget* budget) {
  const uint64_t limit = budget->limit_bytes();
  if (options.shards > kShardsMax ||
      (options.shards != 0 && !std::has_single_bit(options.shards))) {
    return absl::InvalidArgumentError(absl::StrCat("arena shards must be a power of two up to ",
                                                   kShardsMax, ", not ", options.shards));
  }
  if (options.region_bytes != 0 &&
      (options.region_bytes < kRegionBytesMin || options.region_bytes > kRegionBytesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the arena's region of address space must have from ", kRegionBytesMin, " to ",
                     kRegionBytesMax, " bytes, not ", options.region_bytes));
  }
  if (!(options.slack >= 0 && options.slack < 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the arena's slack is a part of the memory limit from 0 to below 1, not ", options.slack));
  }
  Region region;
  uint64_t bytes = options.region_bytes;
  if (bytes == 0) {
    bytes = limit > kRegionBytesMax / kRegionPerLimit
                ? kRegionBytesMax
                : std::max(limit * kRegionPerLimit, kDefaultRegionBytesMin);
  }
  bytes = RoundUp(bytes, kHugePageBytes);
  while ((region = ReserveRegion(bytes)).data == nullptr) {
    if (options.region_bytes != 0 || bytes / 2 < limit * kRegionPerLimitMin) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the system grants no ", bytes,
                       " bytes of address space for the arena: ", std::strerror(errno)));
    }
    bytes = RoundUp(bytes / 2, kHugePageBytes);
  }
  // Without it, the system may back a page that was committed by a huge one, which was not.
  madvise(region.data, region.bytes, options.huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  const uint32_t shards = options.shards != 0 ? options.shards : ChooseShards(limit);
  const uint64_t fixed_bytes = sizeof(Impl) + SmallBlocks::BytesFor(shards);
  if (!budget->TryAcquire(MemoryUse::kArenaMetadata, fixed_bytes)) {
    munmap(region.data, region.bytes);
    return absl::ResourceExhaustedError(absl::StrCat(
        "the memory limit is too small for the arena's tables of ", fixed_bytes, " bytes"));
  }
  absl::StatusOr<std::unique_ptr<RunTable>> runs =
      RunTable::Create(static_cast<uint32_t>(region.bytes / kPageBytes), options.tags, budget);
  if (!runs.ok()) {
    budget->Release(MemoryUse::kArenaMetadata, fixed_bytes);
    munmap(region.data, region.bytes);
    return runs.status();
  }
  return std::unique_ptr<Arena>(new Arena(
      std::make_unique<Impl>(options, region, shards, fixed_bytes, *std::move(runs), budget)));
}

Arena::Arena(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), region_(impl_->region().data), region_bytes_(impl_->region().bytes) {}

Arena::~Arena() = default;

uint64_t Arena::Allocate(uint64_t size, BlockTag tag, AllocateEffort effort) {
  size = std::max<uint64_t>(size, 1);
  return size <= kSmallBlockBytesMax ? impl_->AllocateSmall(size, tag, effort)
                                     : impl_->AllocateLarge(size, effort);
}

void Arena::Free(uint64_t offset, uint64_t size) {
  impl_->Free(offset, std::max<uint64_t>(size, 1));
}

uint64_t Arena::ShrinkInPlace(uint64_t offset, uint64_t old_size, uint64_t new_size) {
  return impl_->ShrinkInPlace(offset, std::max<uint64_t>(old_size, 1),
                              std::max<uint64_t>(new_size, 1));
}

uint64_t Arena::BlockSize(uint64_t size) {
  size = std::max<uint64_t>(size, 1);
  return size <= kSmallBlockBytesMax ? kSizeClassTable[SizeClassOf(size)].block_bytes
                                     : PagesFor(size) * kPageBytes;
}

uint64_t Arena::BlockSizeAt(uint64_t offset) const { return impl_->BlockSizeAt(offset); }

uint64_t Arena::LargestBlock(uint64_t limit_bytes) {
  // Tables of the largest number of shards, page numbers of twice the block, and the first
  // descriptors.
  const uint64_t tables =
      SmallBlocks::BytesFor(ChooseShards(limit_bytes)) + limit_bytes / 512 + 64 * kPageBytes;
  return limit_bytes > tables ? (limit_bytes - tables) / kPageBytes * kPageBytes : 0;
}

ArenaUsage Arena::Usage() const { return impl_->Usage(); }

uint64_t Arena::committed_bytes() const { return impl_->charges().committed_pages() * kPageBytes; }

uint64_t Arena::reclaimable_bytes() const { return impl_->ReclaimablePages() * kPageBytes; }

uint64_t Arena::Trim(uint64_t want_bytes) { return impl_->Trim(want_bytes); }

uint64_t Arena::Prefault(uint64_t bytes) { return impl_->Prefault(bytes); }

uint64_t Arena::CollectSparse(uint64_t want_bytes, size_t tags_max, std::vector<BlockTag>* tags) {
  return impl_->CollectSparse(want_bytes, tags_max, tags);
}

}  // namespace spillway
