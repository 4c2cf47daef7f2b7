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

Entry* EntryTable::Allocate() {
  MutexLock lock(&mutex_);
  if (free_head_ == 0 && !AddSlab()) return nullptr;
  Entry* entry = At(free_head_);
  free_head_ = entry->next;
  entry->next = 0;
  used_.fetch_add(1, std::memory_order_relaxed);
  return entry;
}

void EntryTable::Free(Entry* entry) {
  MutexLock lock(&mutex_);
  entry->next = free_head_;
  free_head_ = entry->slot;
  used_.fetch_sub(1, std::memory_order_relaxed);
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
  for (uint32_t i = kSlotsPerSlab - 1; i > 0; --i) {
    Entry* entry = new (slab + i * sizeof(Entry)) Entry;
    entry->slot = index * kSlotsPerSlab + i;
    entry->next = free_head_;
    free_head_ = entry->slot;
  }
  slabs_[index].store(slab, std::memory_order_release);
  slabs_used_.store(index + 1, std::memory_order_release);
  return true;
}

}  // namespace spillway::internal
