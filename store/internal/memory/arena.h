// Payload memory: blocks inside one region of address space, every touched page of which is charged
// to the memory budget.
//
//     Arena(options) ── region of address space, far larger than the budget
//       │  small blocks (<= 64 KiB): spans of up to 64 blocks of one size, size_classes.h
//       │  large blocks: runs of whole pages
//       └─ tables outside the region, growing with use
//
// A page is *committed* from the moment it is charged to the budget (MemoryUse::kArena), before it
// is touched for the first time, until it was given back to the system: so the region's resident
// set never exceeds committed_bytes. Committed pages are kept and reused by any size they fit. When
// the budget has no more, an allocation first gives back committed pages that hold no payload and
// then commits as many elsewhere.
//
// A block is named by its offset in the region. Typical use by the store:
//
//     uint64_t offset;
//     while ((offset = arena->Allocate(size, slot)) == kNoOffset) ...evict something, or wait...
//     std::memcpy(arena->At(offset), data, size);
//     ...
//     arena->Free(offset, size);
//
// Fragmentation never makes this loop fail: with everything freed, any size up to the budget can be
// had. When nothing is left to evict, a last try with AllocateEffort::kReclaim gets at what the
// default effort leaves free. If free_committed_bytes is large while Allocate refuses, small
// objects are spread thin over their pages; CollectSparse names those whose eviction, or move to
// another block, brings whole pages back soonest.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_ARENA_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway {

// No block: the region is shorter than this.
inline constexpr uint64_t kNoOffset = std::numeric_limits<uint64_t>::max();

// Every block starts at a multiple of this.
inline constexpr uint64_t kBlockAlignment = 64;

// What the caller attaches to a block so that CollectSparse can name it: the index of its entry,
// say.
using BlockTag = uint32_t;
inline constexpr BlockTag kNoTag = 0xffffffffu;

struct ArenaOptions {
  // Address space to reserve. 0: 16 times the budget's limit, at least 4 GiB. If the system refuses
  // that much, it is halved down to 4 times the limit. The sum of all blocks alive at once, spread
  // as they may be, has to find place in it.
  uint64_t region_bytes = 0;
  // Back the region with transparent huge pages. Pages are then committed, and given back, 2 MiB at
  // a time: cheaper to touch, coarser to share among sizes. For limits of a few hundred MiB and
  // more.
  bool huge_pages = false;
  // Independent sets of spans that processors are spread over, a power of two up to 16; 0 chooses
  // by the number of processors and the limit. More scale better and hold a little more memory.
  // With one, where blocks are placed depends on the calls alone.
  uint32_t shards = 0;
  // The part of the limit that stays in free pages rather than have pages returned to the system
  // for other ones (AllocateEffort::kBalanced).
  double slack = 0.01;
  // Remember each small block's tag: 4 bytes per block. Without, CollectSparse finds nothing.
  bool tags = true;
  // Fill freed blocks with 0xef, so that reading through a dangling pointer shows.
  bool poison_freed =
#ifdef NDEBUG
      false;
#else
      true;
#endif
};

struct ArenaUsage {
  uint64_t payload_bytes = 0;         // what callers asked for
  uint64_t rounding_bytes = 0;        // what their blocks take beyond it
  uint64_t free_committed_bytes = 0;  // charged pages, or parts of them, without a block
  uint64_t committed_bytes = 0;       // the sum of the three; charged as MemoryUse::kArena
  uint64_t metadata_bytes = 0;        // tables; charged as MemoryUse::kArenaMetadata
  uint64_t region_bytes = 0;          // address space reserved
  uint64_t frontier_bytes = 0;        // address space ever used
  uint64_t blocks = 0;                // alive
  // Since construction.
  uint64_t pages_committed_total = 0;  // newly charged, to be touched by their first user
  uint64_t pages_returned_total = 0;   // given back to the system
};

// How far Allocate goes when no block of the size is free on committed pages.
enum class AllocateEffort {
  // Commits new pages while the budget has some; refuses otherwise.
  kReuse,
  // Then takes a free block that is up to an eighth too large, if the block is a small one, and
  // then
  // gives back committed pages without payload to commit others in their place; but only if more
  // than
  // ArenaOptions::slack would remain. Otherwise it refuses, so that what the caller evicts builds
  // up a
  // stock of free blocks of all sizes, and most allocations need no system call. For use while
  // something can be evicted. (A block of more than an eighth of the limit takes whatever is
  // there.)
  kBalanced,
  // The same without regard to slack: the last word. For use before waiting or giving up.
  kReclaim,
};

// Thread-safety: every method may be called by any thread. A block belongs to whoever allocated it.
class Arena {
 public:
  // Reserves the region. InvalidArgument for an impossible option; ResourceExhausted if the system
  // grants no address space or the budget not the first tables. `budget` must outlive the arena.
  static absl::StatusOr<std::unique_ptr<Arena>> Create(const ArenaOptions& options,
                                                       MemoryBudget* budget);
  // Gives all pages back. Blocks that are still allocated go with it.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Returns the offset of a block of at least `size` bytes (0 is taken as 1), its contents
  // undefined, or kNoOffset if there are not enough free pages and the budget does not give more:
  // evict something and try again. Never waits.
  uint64_t Allocate(uint64_t size, BlockTag tag = kNoTag,
                    AllocateEffort effort = AllocateEffort::kBalanced);

  // Frees the block at `offset`. `size` is what was asked for, or what ShrinkInPlace made of it;
  // that it fits the block found at `offset`, and that the block is allocated, is CHECKed.
  void Free(uint64_t offset, uint64_t size);

  // The block of `old_size` bytes will hold only its first `new_size` from now on. Returns how many
  // bytes became free by that: whole pages at the end of a large block; 0 for a small one, whose
  // block stays as it is, the difference counted as rounding. (If BlockSize(new_size) is much less,
  // a copy to a new block is worth its time.) REQUIRES: new_size <= old_size.
  uint64_t ShrinkInPlace(uint64_t offset, uint64_t old_size, uint64_t new_size);

  // Bytes that a block for `size` bytes takes at least, and nearly always.
  static uint64_t BlockSize(uint64_t size);
  // Bytes that the block at `offset` takes.
  uint64_t BlockSizeAt(uint64_t offset) const;

  // Largest size that Allocate could ever grant under a budget of `limit_bytes` that only it uses.
  static uint64_t LargestBlock(uint64_t limit_bytes);

  char* At(uint64_t offset) const { return region_ + offset; }
  char* region() const { return region_; }
  uint64_t region_bytes() const { return region_bytes_; }

  // Numbers of one moment: the bytes sum exactly. Takes all locks one after the other; not for hot
  // paths.
  ArenaUsage Usage() const;

  // committed_bytes alone; one atomic load.
  uint64_t committed_bytes() const;
  // Bytes in committed pages that hold no block at all, and that Trim could therefore give back. A
  // few atomic loads.
  uint64_t reclaimable_bytes() const;

  // Gives free committed pages back to the system and to the budget until `want_bytes` are returned
  // or none is left. Returns the bytes.
  uint64_t Trim(uint64_t want_bytes);

  // Commits and touches up to `bytes` of fresh pages, for the first objects not to pay for it.
  // Returns how many the budget granted.
  uint64_t Prefault(uint64_t bytes);

  // Appends the tags of up to `tags_max` blocks that stand in the sparsest spans, span by span: if
  // all of them are freed or moved, at least as many bytes of whole pages come free as returned.
  // Stops when that reaches `want_bytes`. Spans named here take no new blocks while others have
  // room, so a block may be moved by allocating its new place and freeing the old one. A span is
  // not named twice unless it has been used anew in between. Blocks may be freed by others
  // meanwhile, and tags with them.
  uint64_t CollectSparse(uint64_t want_bytes, size_t tags_max, std::vector<BlockTag>* tags);

 private:
  class Impl;

  explicit Arena(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
  char* const region_;
  const uint64_t region_bytes_;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_ARENA_H_
