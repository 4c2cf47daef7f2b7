#include "store/internal/entry_table.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "glog/logging.h"

namespace spillway::internal {

namespace {

constexpr size_t kSlabPointersBytes = EntryTable::kSlabsMax * sizeof(std::atomic<char*>);

std::atomic<char*>* ReserveSlabPointers() {
  void* memory = mmap(nullptr, kSlabPointersBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  PCHECK(memory != MAP_FAILED) << "cannot reserve address space for the entry table";
  return static_cast<std::atomic<char*>*>(memory);
}

}  // namespace

EntryTable::EntryTable(StoreCore* core, char* arena_base, MemoryBudget* budget)
    : core_(core), arena_base_(arena_base), budget_(budget), slabs_(ReserveSlabPointers()) {}

EntryTable::~EntryTable() {
  const uint32_t slabs = slabs_used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < slabs; ++i) std::free(slabs_[i].load(std::memory_order_relaxed));
  budget_->Release(MemoryUse::kEntries, slabs * kSlabBytes);
  munmap(static_cast<void*>(slabs_), kSlabPointersBytes);
}

Entry* EntryTable::TakeFree() {
  SpinLockHolder hold(&lock_);
  if (free_head_ == 0) return nullptr;
  Entry* entry = At(free_head_);
  free_head_ = entry->next;
  entry->next = 0;
  used_.store(used() + 1, std::memory_order_relaxed);
  return entry;
}

Entry* EntryTable::Allocate() {
  Entry* entry = TakeFree();
  if (entry != nullptr) [[likely]]
    return entry;
  MutexLock lock(&growth_mutex_);
  // The table may have grown while this thread waited, and others may be quicker to use it up.
  do {
    entry = TakeFree();
  } while (entry == nullptr && AddSlab());
  return entry;
}

void EntryTable::Free(Entry* entry) {
  SpinLockHolder hold(&lock_);
  entry->next = free_head_;
  free_head_ = entry->slot;
  used_.store(used() - 1, std::memory_order_relaxed);
}

bool EntryTable::AddSlab() {
  const uint32_t index = slabs_used_.load(std::memory_order_relaxed);
  if (index == kSlabsMax || !budget_->TryAcquire(MemoryUse::kEntries, kSlabBytes)) return false;
  char* slab = static_cast<char*>(std::aligned_alloc(kSlabBytes, kSlabBytes));
  if (slab == nullptr) {
    budget_->Release(MemoryUse::kEntries, kSlabBytes);
    return false;
  }
  new (slab) SlabHeader{core_, arena_base_};
  const uint32_t first = index * kSlotsPerSlab;
  Entry* last = nullptr;
  for (uint32_t i = 1; i < kSlotsPerSlab; ++i) {
    last = new (slab + i * sizeof(Entry)) Entry;
    last->slot = first + i;
    last->next = first + i + 1;
  }
  slabs_[index].store(slab, std::memory_order_release);
  slabs_used_.store(index + 1, std::memory_order_release);
  SpinLockHolder hold(&lock_);
  last->next = free_head_;
  free_head_ = first + 1;
  return true;
}

}  // namespace spillway::internal
