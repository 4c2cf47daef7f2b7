#include "store/internal/memory/page_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "glog/logging.h"

namespace spillway {
namespace {

// Access rights to the region are given out in steps of this, to spare system calls.
constexpr uint64_t kAccessStepBytes = 64 << 20;

// Descriptors kept back so that pages can be returned when the budget gives none for more
// descriptors.
constexpr uint32_t kReserveRuns = 4;

// How many runs are looked at for one with a whole commit unit. The trees are ordered by size, so
// with the first of them nearly always right this is a bound for odd cases.
constexpr int kReturnableTries = 64;

// How many of the largest free committed runs are looked at for one whose uncommitted neighbours
// make it large enough.
constexpr int kJointTries = 16;

constexpr uint32_t RoundUp(uint32_t pages, uint32_t unit) {
  return (pages + unit - 1) & ~(unit - 1);
}

}  // namespace

PageHeap::PageHeap(char* region, uint32_t region_pages, uint32_t commit_unit_pages, RunTable* runs,
                   PageCharges* charges)
    : region_(region),
      region_pages_(region_pages & ~(commit_unit_pages - 1)),
      unit_(commit_unit_pages),
      runs_(runs),
      charges_(charges),
      committed_(runs),
      uncommitted_(runs) {
  CHECK(std::has_single_bit(commit_unit_pages));
}

uint32_t PageHeap::ReturnablePages(const Run& run) const {
  const uint32_t begin = RoundUp(run.start_page, unit_);
  const uint32_t end = (run.start_page + run.pages) & ~(unit_ - 1);
  return end > begin ? end - begin : 0;
}

RunTree* PageHeap::TreeOf(RunKind kind) {
  return kind == RunKind::kFreeCommitted ? &committed_ : &uncommitted_;
}

void PageHeap::InsertFree(RunId id, RunKind kind) {
  Run& run = (*runs_)[id];
  run.kind = kind;
  MapEnds(id);
  TreeOf(kind)->Insert(id);
  if (kind == RunKind::kFreeCommitted) {
    returnable_pages_.fetch_add(ReturnablePages(run), std::memory_order_relaxed);
  }
}

void PageHeap::EraseFree(RunId id) {
  const Run& run = (*runs_)[id];
  TreeOf(run.kind)->Erase(id);
  if (run.kind == RunKind::kFreeCommitted) {
    returnable_pages_.fetch_sub(ReturnablePages(run), std::memory_order_relaxed);
  }
}

void PageHeap::MapEnds(RunId id) {
  const Run& run = (*runs_)[id];
  runs_->SetRunOfPage(run.start_page, id);
  runs_->SetRunOfPage(run.start_page + run.pages - 1, id);
}

void PageHeap::Merge(RunId id, RunKind kind) {
  Run& run = (*runs_)[id];
  if (run.start_page > 0) {
    const RunId left = runs_->RunOfPage(run.start_page - 1);
    if ((*runs_)[left].kind == kind) {
      EraseFree(left);
      run.start_page -= (*runs_)[left].pages;
      run.pages += (*runs_)[left].pages;
      runs_->PutRun(left);
    }
  }
  const uint32_t end = run.start_page + run.pages;
  if (end < frontier_page()) {
    const RunId right = runs_->RunOfPage(end);
    if ((*runs_)[right].kind == kind) {
      EraseFree(right);
      run.pages += (*runs_)[right].pages;
      runs_->PutRun(right);
    }
  }
  InsertFree(id, kind);
}

RunId PageHeap::Cut(RunId id, uint32_t pages) {
  Run& run = (*runs_)[id];
  const RunId rest_id = runs_->TakeRun();
  Run& rest = (*runs_)[rest_id];
  rest.kind = run.kind;
  rest.start_page = run.start_page + pages;
  rest.pages = run.pages - pages;
  run.pages = pages;
  MapEnds(id);
  MapEnds(rest_id);
  return rest_id;
}

RunId PageHeap::FindUncommitted(uint32_t pages) {
  const RunId id = uncommitted_.BestFit(pages);
  if (id != kNoRun) {
    EraseFree(id);
    if ((*runs_)[id].pages > pages) InsertFree(Cut(id, pages), RunKind::kFreeUncommitted);
    return id;
  }
  // A free run at the frontier is drawn out rather than left behind.
  const uint32_t frontier = frontier_page();
  const RunId tail = frontier > 0 ? runs_->RunOfPage(frontier - 1) : kNoRun;
  const bool extend = (*runs_)[tail].kind == RunKind::kFreeUncommitted;
  const uint32_t start = extend ? (*runs_)[tail].start_page : frontier;
  if (pages > region_pages_ - start) return kNoRun;
  const uint64_t end_bytes = (uint64_t{start} + pages) * kPageBytes;
  if (end_bytes > accessible_bytes_) {
    const uint64_t region_bytes = uint64_t{region_pages_} * kPageBytes;
    const uint64_t accessible = std::min(
        (end_bytes + kAccessStepBytes - 1) / kAccessStepBytes * kAccessStepBytes, region_bytes);
    PCHECK(mprotect(region_ + accessible_bytes_, accessible - accessible_bytes_,
                    PROT_READ | PROT_WRITE) == 0)
        << "the system does not let the arena grow to " << accessible << " bytes of address space";
    accessible_bytes_ = accessible;
  }
  if (extend) EraseFree(tail);
  const RunId fresh_id = extend ? tail : runs_->TakeRun();
  Run& fresh = (*runs_)[fresh_id];
  fresh.start_page = start;
  fresh.pages = pages;
  frontier_.store(start + pages, std::memory_order_relaxed);
  return fresh_id;
}

void PageHeap::BecomeUsed(RunId id, RunKind kind, bool committed) {
  Run& run = (*runs_)[id];
  run.kind = kind;
  if (kind != RunKind::kSpan) {
    MapEnds(id);
    return;
  }
  CHECK_LE(run.pages, 64u);
  const uint64_t all_pages = ~uint64_t{0} >> (64 - run.pages);
  run.committed_pages = committed ? all_pages : 0;
  for (uint32_t i = 0; i < run.pages; ++i) runs_->SetRunOfPage(run.start_page + i, id);
  run.tag_block = runs_->has_tags() ? runs_->TakeTagBlock() : 0;
}

PageHeap::Taken PageHeap::TakeCommitted(uint32_t pages, RunKind kind) {
  SpinLockHolder hold(&lock_);
  const RunId id = committed_.BestFit(pages);
  if (id == kNoRun) return {TakeOutcome::kNone};
  const uint64_t shortfall =
      runs_->Prepare(1 + kReserveRuns, frontier_page(), kind == RunKind::kSpan);
  if (shortfall != 0) return {TakeOutcome::kNeedsMetadata, kNoRun, shortfall};
  EraseFree(id);
  if ((*runs_)[id].pages > pages) InsertFree(Cut(id, pages), RunKind::kFreeCommitted);
  BecomeUsed(id, kind, /*committed=*/true);
  return {TakeOutcome::kTaken, id};
}

PageHeap::Taken PageHeap::TakeUncommitted(uint32_t pages) {
  CHECK_EQ(unit_, 1u);
  SpinLockHolder hold(&lock_);
  const uint32_t frontier = std::min(uint64_t{frontier_page()} + pages, uint64_t{region_pages_});
  const uint64_t shortfall = runs_->Prepare(1 + kReserveRuns, frontier, /*tag_block=*/true);
  if (shortfall != 0) return {TakeOutcome::kNeedsMetadata, kNoRun, shortfall};
  const RunId id = FindUncommitted(pages);
  if (id == kNoRun) return {TakeOutcome::kNone};
  BecomeUsed(id, RunKind::kSpan, /*committed=*/false);
  return {TakeOutcome::kTaken, id};
}

PageHeap::Taken PageHeap::TakeAndCommit(uint32_t pages, RunKind kind, uint64_t* in_hand) {
  if (pages > region_pages_) return {TakeOutcome::kNone};
  const uint32_t units = RoundUp(pages, unit_);
  SpinLockHolder hold(&lock_);
  if (unit_ == 1 && kind == RunKind::kLarge) {
    const Joint joint = FindJoint(pages);
    if (joint.run != kNoRun) {
      const uint32_t commit = joint.pages_from_left + joint.pages_from_right;
      if (!charges_->TryHave(commit, in_hand)) {
        return {TakeOutcome::kNeedsPages, kNoRun, commit - *in_hand, joint.run};
      }
      *in_hand -= commit;
      CountCommitted(commit);
      const RunId id = TakeJoint(joint);
      BecomeUsed(id, kind, /*committed=*/true);
      return {TakeOutcome::kTaken, id};
    }
  }
  if (!charges_->TryHave(units, in_hand)) {
    return {TakeOutcome::kNeedsPages, kNoRun, units - *in_hand};
  }
  const uint32_t frontier = std::min(uint64_t{frontier_page()} + units, uint64_t{region_pages_});
  const uint64_t shortfall = runs_->Prepare(2 + kReserveRuns, frontier, kind == RunKind::kSpan);
  if (shortfall != 0) return {TakeOutcome::kNeedsMetadata, kNoRun, shortfall};
  const RunId id = FindUncommitted(units);
  if (id == kNoRun) return {TakeOutcome::kNone};
  *in_hand -= units;
  CountCommitted(units);
  if (units > pages) {
    // Two steps, since the rest's neighbour must be known as used before the rest looks at it.
    const RunId rest = Cut(id, pages);
    BecomeUsed(id, kind, /*committed=*/true);
    Merge(rest, RunKind::kFreeCommitted);
  } else {
    BecomeUsed(id, kind, /*committed=*/true);
  }
  return {TakeOutcome::kTaken, id};
}

PageHeap::Joint PageHeap::FindJoint(uint32_t pages) {
  RunId id = committed_.Largest();
  for (int i = 0; i < kJointTries && id != kNoRun; ++i, id = committed_.Previous(id)) {
    const Run& run = (*runs_)[id];
    if (run.pages >= pages) continue;  // came free since the caller looked
    Joint joint;
    joint.run = id;
    uint32_t wanted = pages - run.pages;
    const uint32_t end = run.start_page + run.pages;
    if (end < frontier_page()) {
      const RunId right = runs_->RunOfPage(end);
      if ((*runs_)[right].kind == RunKind::kFreeUncommitted) {
        joint.right = right;
        joint.pages_from_right = std::min(wanted, (*runs_)[right].pages);
        wanted -= joint.pages_from_right;
      }
    }
    if (wanted > 0 && run.start_page > 0) {
      const RunId left = runs_->RunOfPage(run.start_page - 1);
      if ((*runs_)[left].kind == RunKind::kFreeUncommitted) {
        joint.left = left;
        joint.pages_from_left = std::min(wanted, (*runs_)[left].pages);
        wanted -= joint.pages_from_left;
      }
    }
    if (wanted == 0) return joint;
  }
  return {};
}

RunId PageHeap::TakeJoint(const Joint& joint) {
  EraseFree(joint.run);
  Run& run = (*runs_)[joint.run];
  if (joint.pages_from_right > 0) {
    EraseFree(joint.right);
    Run& right = (*runs_)[joint.right];
    right.start_page += joint.pages_from_right;
    right.pages -= joint.pages_from_right;
    right.pages > 0 ? InsertFree(joint.right, RunKind::kFreeUncommitted)
                    : runs_->PutRun(joint.right);
  }
  if (joint.pages_from_left > 0) {
    EraseFree(joint.left);
    Run& left = (*runs_)[joint.left];
    left.pages -= joint.pages_from_left;
    left.pages > 0 ? InsertFree(joint.left, RunKind::kFreeUncommitted) : runs_->PutRun(joint.left);
  }
  run.start_page -= joint.pages_from_left;
  run.pages += joint.pages_from_left + joint.pages_from_right;
  return joint.run;
}

void PageHeap::Put(RunId id) {
  SpinLockHolder hold(&lock_);
  if ((*runs_)[id].kind == RunKind::kSpan) {
    PutSpan(id);
  } else {
    Merge(id, RunKind::kFreeCommitted);
  }
}

void PageHeap::PutSpan(RunId id) {
  Run& run = (*runs_)[id];
  if (run.tag_block != 0) runs_->PutTagBlock(run.tag_block);
  uint64_t committed = run.committed_pages;
  // Every change between committed and uncommitted starts a run of its own.
  const uint64_t changes = (committed ^ (committed >> 1)) & (~uint64_t{0} >> (64 - run.pages) >> 1);
  if (static_cast<uint32_t>(std::popcount(changes)) > runs_->free_runs()) {
    // No descriptors for the pieces: a system call under the lock is the price of a rare case.
    ReturnToSystem(run.start_page, run.pages);
    charges_->Uncommit(std::popcount(committed));
    committed = 0;
  }
  run.kind = RunKind::kReturning;
  while (true) {
    Run& piece = (*runs_)[id];
    const bool is_committed = (committed & 1) != 0;
    const uint32_t length = std::countr_zero(is_committed ? ~committed : committed);
    const RunKind kind = is_committed ? RunKind::kFreeCommitted : RunKind::kFreeUncommitted;
    if (length >= piece.pages) {
      Merge(id, kind);
      return;
    }
    const RunId rest = Cut(id, length);
    Merge(id, kind);
    committed >>= length;
    id = rest;
  }
}

bool PageHeap::Shrink(RunId id, uint32_t pages) {
  SpinLockHolder hold(&lock_);
  if (runs_->Prepare(1, frontier_page(), /*tag_block=*/false) != 0) return false;
  Merge(Cut(id, pages), RunKind::kFreeCommitted);
  return true;
}

RunId PageHeap::PickReturnable(uint64_t pages, RunId keep) {
  if (unit_ == 1) {
    const uint32_t fit = static_cast<uint32_t>(std::min<uint64_t>(pages, region_pages_));
    RunId id = committed_.BestFit(fit);
    if (id == kNoRun || id == keep) id = committed_.Largest();
    if (id != kNoRun && id == keep) {
      const RunId other = committed_.Previous(id);
      if (other != kNoRun) id = other;
    }
    if (id == kNoRun) return kNoRun;
    EraseFree(id);
    if ((*runs_)[id].pages > fit && runs_->free_runs() > 0) {
      InsertFree(Cut(id, fit), RunKind::kFreeCommitted);
    }
    return id;
  }
  RunId id = committed_.Largest();
  for (int i = 0; i < kReturnableTries && id != kNoRun; ++i, id = committed_.Previous(id)) {
    const Run& run = (*runs_)[id];
    const uint32_t returnable = ReturnablePages(run);
    if (returnable == 0) continue;
    const uint32_t before = RoundUp(run.start_page, unit_) - run.start_page;
    const uint32_t wanted =
        static_cast<uint32_t>(std::min<uint64_t>((pages + unit_ - 1) / unit_ * unit_, returnable));
    const bool has_rest = before + wanted < run.pages;
    if (runs_->free_runs() < uint32_t{before > 0} + uint32_t{has_rest}) continue;
    EraseFree(id);
    if (before > 0) {
      const RunId aligned = Cut(id, before);
      InsertFree(id, RunKind::kFreeCommitted);
      id = aligned;
    }
    if (has_rest) InsertFree(Cut(id, wanted), RunKind::kFreeCommitted);
    return id;
  }
  return kNoRun;
}

uint64_t PageHeap::ReturnFree(uint64_t pages, RunId keep) {
  uint64_t returned = 0;
  while (returned < pages) {
    RunId id;
    {
      SpinLockHolder hold(&lock_);
      id = PickReturnable(pages - returned, keep);
      if (id == kNoRun) break;
      (*runs_)[id].kind = RunKind::kReturning;
    }
    const Run& run = (*runs_)[id];
    const uint32_t run_pages = run.pages;
    ReturnToSystem(run.start_page, run_pages);
    returned += run_pages;
    SpinLockHolder hold(&lock_);
    Merge(id, RunKind::kFreeUncommitted);
  }
  return returned;
}

void PageHeap::ReturnToSystem(uint32_t start_page, uint32_t pages) {
  char* const start = region_ + uint64_t{start_page} * kPageBytes;
  PCHECK(madvise(start, uint64_t{pages} * kPageBytes, MADV_DONTNEED) == 0)
      << "returning " << pages << " pages to the system";
  returned_total_.fetch_add(pages, std::memory_order_relaxed);
}

void PageHeap::AddMetadataCharge(uint64_t bytes) {
  SpinLockHolder hold(&lock_);
  runs_->AddSpareCharge(bytes);
}

}  // namespace spillway
