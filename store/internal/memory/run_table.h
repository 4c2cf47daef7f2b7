// The arena's tables: descriptors of page runs, which run a page belongs to, and the tags of
// blocks.
//
// A run is a contiguous range of pages in one state: free and committed, free and not committed,
// one large block, or a span of small ones. Runs are referred to by index. The tables stand in
// address space of their own that is reserved once for the largest region and touched, and charged
// to the budget (MemoryUse::kArenaMetadata), page by page as they grow; they never shrink.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TABLE_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway {

using RunId = uint32_t;
inline constexpr RunId kNoRun = 0;  // the first descriptor is never used

enum class RunKind : uint8_t {
  kUnused = 0,  // the descriptor describes nothing
  kFreeCommitted,
  kFreeUncommitted,
  kReturning,  // free, being given back to the system
  kLarge,      // one block
  kSpan,       // blocks of one size class
};

// 64 bytes: one cache line. What a span needs stands under its shard's lock; `kind`, `start_page`,
// `pages`, `size_class` and `shard` do not change while a block of the run is allocated.
struct alignas(64) Run {
  // Of a span, one bit per block or page.
  uint64_t free_blocks = 0;
  uint64_t backed_blocks = 0;  // all of whose pages are committed
  uint64_t committed_pages = 0;

  uint32_t start_page = 0;
  uint32_t pages = 0;

  // Free: children in the tree of its kind. Span: neighbours in its bucket.
  RunId left = kNoRun;
  RunId right = kNoRun;
  // Span: neighbours in the list of spans with idle pages.
  RunId idle_previous = kNoRun;
  RunId idle_next = kNoRun;

  uint32_t tag_block = 0;  // 0: none
  RunKind kind = RunKind::kUnused;
  uint8_t size_class = 0;
  uint8_t shard = 0;
  uint8_t bucket = 0;
  uint8_t used_blocks = 0;
  uint8_t idle_pages = 0;  // committed, and under no block
  bool in_idle_list = false;
};
static_assert(sizeof(Run) == 64);

// A table of fixed-size items whose memory grows page by page, at a fixed address.
class GrowingTable {
 public:
  GrowingTable() = default;
  ~GrowingTable();
  GrowingTable(const GrowingTable&) = delete;
  GrowingTable& operator=(const GrowingTable&) = delete;

  // Reserves address space for `bytes_max` bytes; false if the system refuses.
  bool Reserve(uint64_t bytes_max);
  // Makes the first `bytes` bytes usable; the new ones are zero. REQUIRES: bytes <= bytes_max.
  void GrowTo(uint64_t bytes);
  char* data() const { return data_; }
  // Usable, a multiple of the page size.
  uint64_t bytes() const { return bytes_; }
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  char* data_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t accessible_bytes_ = 0;
  uint64_t bytes_max_ = 0;
};

// Thread-safety: reading and writing descriptors is the business of those who own them; everything
// else is called under the page heap's lock, except where it says otherwise.
class RunTable {
 public:
  // For a region of `region_pages` pages. ResourceExhausted if address space or budget do not
  // suffice.
  static absl::StatusOr<std::unique_ptr<RunTable>> Create(uint32_t region_pages, bool tags,
                                                          MemoryBudget* budget);
  ~RunTable();

  Run& operator[](RunId id) { return reinterpret_cast<Run*>(runs_.data())[id]; }
  const Run& operator[](RunId id) const { return reinterpret_cast<const Run*>(runs_.data())[id]; }

  // The run that `page` belongs to, true for every page of a span and the first and last one of all
  // other runs. Callable without the lock for a page of a block that the caller owns.
  RunId RunOfPage(uint32_t page) const { return page_map()[page].load(std::memory_order_relaxed); }
  void SetRunOfPage(uint32_t page, RunId id) {
    page_map()[page].store(id, std::memory_order_relaxed);
  }

  // The 64 tags of a tag block. Callable without the lock by the owner.
  uint32_t* Tags(uint32_t tag_block) const {
    return reinterpret_cast<uint32_t*>(tags_.data()) + uint64_t{tag_block} * 64;
  }

  // Makes sure that `runs` descriptors can be taken and that pages below `frontier_page` can be
  // looked up; with `tag_block`, one tag block too. Returns 0, or how many bytes the budget is
  // short of.
  [[nodiscard]] uint64_t Prepare(uint32_t runs, uint32_t frontier_page, bool tag_block);

  // Bytes already charged as metadata that Prepare may use before it asks the budget.
  void AddSpareCharge(uint64_t bytes) { spare_charge_ += bytes; }

  // Free descriptors, and how to take and return one. REQUIRES for TakeRun: free_runs() > 0.
  uint32_t free_runs() const { return free_runs_; }
  RunId TakeRun();
  void PutRun(RunId id);

  bool has_tags() const { return has_tags_; }
  uint32_t TakeTagBlock();  // REQUIRES: Prepare granted one
  void PutTagBlock(uint32_t tag_block);

  // Charged. Callable without the lock.
  uint64_t metadata_bytes() const { return charged_.load(std::memory_order_relaxed); }

 private:
  explicit RunTable(MemoryBudget* budget, bool tags) : budget_(budget), has_tags_(tags) {}

  std::atomic<RunId>* page_map() const {
    return reinterpret_cast<std::atomic<RunId>*>(page_map_.data());
  }
  // Charges what is needed to grow the table to `bytes`, and grows it; else adds to the shortfall.
  void Grow(GrowingTable* table, uint64_t bytes, uint64_t* shortfall);

  // Constant after construction.
  MemoryBudget* const budget_;
  const bool has_tags_;

  GrowingTable runs_;
  GrowingTable page_map_;
  GrowingTable tags_;
  RunId first_free_run_ = kNoRun;  // linked through Run::right
  uint32_t free_runs_ = 0;
  RunId fresh_run_ = 1;                // never used from here on
  uint32_t first_free_tag_block_ = 0;  // linked through the first tag
  uint32_t fresh_tag_block_ = 1;
  uint64_t spare_charge_ = 0;
  std::atomic<uint64_t> charged_{0};
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_RUN_TABLE_H_
