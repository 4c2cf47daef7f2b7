#include "store/internal/memory/run_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "store/internal/memory/size_classes.h"

namespace spillway {
namespace {

// Access rights are given out in steps of this, to spare system calls. Untouched bytes cost
// nothing.
constexpr uint64_t kAccessStepBytes = 1 << 20;
constexpr uint64_t kTagBlockBytes = 64 * sizeof(uint32_t);

constexpr uint64_t RoundUp(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

GrowingTable::~GrowingTable() {
  if (data_ != nullptr) munmap(data_, bytes_max_);
}

bool GrowingTable::Reserve(uint64_t bytes_max) {
  bytes_max_ = RoundUp(bytes_max, kAccessStepBytes);
  void* const data =
      mmap(nullptr, bytes_max_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return false;
  data_ = static_cast<char*>(data);
  // A huge page would be touched, and not charged, as a whole.
  madvise(data_, bytes_max_, MADV_NOHUGEPAGE);
  return true;
}

void GrowingTable::GrowTo(uint64_t bytes) {
  bytes = RoundUp(bytes, kPageBytes);
  CHECK_LE(bytes, bytes_max_) << "a table of the arena outgrew its address space";
  if (bytes > accessible_bytes_) {
    const uint64_t end = RoundUp(bytes, kAccessStepBytes);
    PCHECK(mprotect(data_ + accessible_bytes_, end - accessible_bytes_, PROT_READ | PROT_WRITE) ==
           0);
    accessible_bytes_ = end;
  }
  bytes_ = std::max(bytes_, bytes);
}

absl::StatusOr<std::unique_ptr<RunTable>> RunTable::Create(uint32_t region_pages, bool tags,
                                                           MemoryBudget* budget) {
  std::unique_ptr<RunTable> table(new RunTable(budget, tags));
  // At worst every page is a run of its own.
  const uint64_t runs_max = uint64_t{region_pages} + 2;
  if (!table->runs_.Reserve(runs_max * sizeof(Run)) ||
      !table->page_map_.Reserve(uint64_t{region_pages} * sizeof(RunId)) ||
      (tags && !table->tags_.Reserve(runs_max * kTagBlockBytes))) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the system grants no address space for the tables of a region of ",
                     region_pages, " pages"));
  }
  const uint64_t shortfall = table->Prepare(1, 1, tags);
  if (shortfall != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the memory limit is too small for the arena's first tables: ", shortfall,
                     " bytes are missing"));
  }
  return table;
}

RunTable::~RunTable() {
  budget_->Release(MemoryUse::kArenaMetadata, metadata_bytes() + spare_charge_);
}

void RunTable::Grow(GrowingTable* table, uint64_t bytes, uint64_t* shortfall) {
  if (bytes <= table->bytes()) return;
  const uint64_t more = RoundUp(bytes, kPageBytes) - table->bytes();
  if (spare_charge_ >= more) {
    spare_charge_ -= more;
  } else if (budget_->TryAcquire(MemoryUse::kArenaMetadata, more - spare_charge_)) {
    spare_charge_ = 0;
  } else {
    *shortfall += more - spare_charge_;
    return;
  }
  charged_.store(metadata_bytes() + more, std::memory_order_relaxed);
  table->GrowTo(bytes);
}

uint64_t RunTable::Prepare(uint32_t runs, uint32_t frontier_page, bool tag_block) {
  uint64_t shortfall = 0;
  while (free_runs_ < runs) {
    Grow(&runs_, (uint64_t{fresh_run_} + 1) * sizeof(Run), &shortfall);
    if (shortfall != 0) break;
    while (free_runs_ < runs && (uint64_t{fresh_run_} + 1) * sizeof(Run) <= runs_.bytes()) {
      new (&(*this)[fresh_run_]) Run;
      PutRun(fresh_run_++);
    }
  }
  Grow(&page_map_, uint64_t{frontier_page} * sizeof(RunId), &shortfall);
  if (tag_block && has_tags_ && first_free_tag_block_ == 0) {
    Grow(&tags_, (uint64_t{fresh_tag_block_} + 1) * kTagBlockBytes, &shortfall);
    if (shortfall == 0) PutTagBlock(fresh_tag_block_++);
  }
  return shortfall;
}

RunId RunTable::TakeRun() {
  CHECK_GT(free_runs_, 0u);
  const RunId id = first_free_run_;
  first_free_run_ = (*this)[id].right;
  --free_runs_;
  return id;
}

void RunTable::PutRun(RunId id) {
  Run& run = (*this)[id];
  run.kind = RunKind::kUnused;
  run.right = first_free_run_;
  first_free_run_ = id;
  ++free_runs_;
}

uint32_t RunTable::TakeTagBlock() {
  const uint32_t tag_block = first_free_tag_block_;
  CHECK_NE(tag_block, 0u);
  first_free_tag_block_ = Tags(tag_block)[0];
  return tag_block;
}

void RunTable::PutTagBlock(uint32_t tag_block) {
  Tags(tag_block)[0] = first_free_tag_block_;
  first_free_tag_block_ = tag_block;
}

}  // namespace spillway
