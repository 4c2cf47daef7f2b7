#include "spill/internal/batch_table.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "glog/logging.h"

namespace spillway::internal {

Batch::Batch(SpillTicket first_ticket, uint32_t chunk_stride_bytes, bool durable,
             uint64_t file_bytes, const std::vector<uint64_t>& disk_bytes)
    : first_ticket_(first_ticket),
      record_count_(static_cast<uint32_t>(disk_bytes.size())),
      chunk_stride_bytes_(chunk_stride_bytes),
      durable_(durable),
      file_bytes_(file_bytes),
      live_count_(record_count_),
      live_bits_((disk_bytes.size() + 63) / 64, ~uint64_t{0}) {
  CHECK_NE(first_ticket, kNoTicket);
  CHECK(!disk_bytes.empty()) << "a batch has records";
  if (record_count_ % 64 != 0) live_bits_.back() = (uint64_t{1} << (record_count_ % 64)) - 1;
  bool uniform = true;
  units_.reserve(disk_bytes.size());
  for (uint64_t bytes : disk_bytes) {
    units_.push_back(static_cast<uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes));
    uniform = uniform && units_.back() == units_.front();
    live_bytes_ += uint64_t{units_.back()} * kUnitBytes;
  }
  if (uniform) units_.resize(1);
  units_.shrink_to_fit();
}

SpillTicket Batch::NextLive(SpillTicket ticket) const {
  uint64_t index = ticket < first_ticket_ ? 0 : ticket - first_ticket_;
  if (index >= record_count_) return kNoTicket;
  uint64_t word = index / 64;
  uint64_t bits = live_bits_[word] >> (index % 64) << (index % 64);
  while (bits == 0) {
    if (++word == live_bits_.size()) return kNoTicket;
    bits = live_bits_[word];
  }
  return first_ticket_ + word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
}

size_t Batch::memory_bytes() const {
  return sizeof(Batch) + live_bits_.capacity() * sizeof(live_bits_[0]) +
         units_.capacity() * sizeof(units_[0]);
}

void BatchTable::Add(std::unique_ptr<Batch> batch) {
  Batch* added = batch.get();
  live_bytes_ += added->live_bytes_;
  live_records_ += added->live_count_;
  held_bytes_ += added->file_bytes_;
  memory_bytes_ += added->memory_bytes();
  const bool inserted = batches_.emplace(added->first_ticket_, std::move(batch)).second;
  CHECK(inserted) << "two batches begin with ticket " << added->first_ticket_;
  NoteIfDead(added);
}

Batch* BatchTable::Find(SpillTicket ticket) const {
  auto it = batches_.upper_bound(ticket);
  if (it == batches_.begin()) return nullptr;
  --it;
  return ticket <= it->second->last_ticket() ? it->second.get() : nullptr;
}

Batch* BatchTable::Pin(SpillTicket ticket) {
  Batch* batch = Find(ticket);
  if (batch == nullptr || !batch->live(ticket)) return nullptr;
  ++batch->pins_;
  return batch;
}

bool BatchTable::Unpin(Batch* batch) {
  CHECK_GT(batch->pins_, 0u);
  --batch->pins_;
  return NoteIfDead(batch);
}

bool BatchTable::NoteIfDead(Batch* batch) {
  if (batch->live_count_ != 0 || batch->pins_ != 0) return false;
  dead_.push_back(batch->first_ticket_);
  return true;
}

bool BatchTable::Release(SpillTicket ticket, bool* dead) {
  *dead = false;
  Batch* batch = Find(ticket);
  if (batch == nullptr || !batch->live(ticket)) return false;
  const uint64_t index = ticket - batch->first_ticket_;
  const uint64_t bytes = batch->disk_bytes(ticket);
  batch->live_bits_[index / 64] &= ~(uint64_t{1} << (index % 64));
  --batch->live_count_;
  batch->live_bytes_ -= bytes;
  live_bytes_ -= bytes;
  --live_records_;
  *dead = NoteIfDead(batch);
  return true;
}

std::vector<std::unique_ptr<Batch>> BatchTable::TakeDead(size_t count) {
  std::vector<std::unique_ptr<Batch>> taken;
  while (!dead_.empty() && taken.size() < count) {
    auto it = batches_.find(dead_.back());
    dead_.pop_back();
    CHECK(it != batches_.end());
    CHECK_EQ(it->second->live_count_, 0u);
    CHECK_EQ(it->second->pins_, 0u) << "a batch is dropped while it is read";
    memory_bytes_ -= it->second->memory_bytes();
    taken.push_back(std::move(it->second));
    batches_.erase(it);
  }
  return taken;
}

void BatchTable::PutBackDead(std::vector<std::unique_ptr<Batch>> batches) {
  for (std::unique_ptr<Batch>& batch : batches) {
    memory_bytes_ += batch->memory_bytes();
    dead_.push_back(batch->first_ticket_);
    batches_.emplace(batch->first_ticket_, std::move(batch));
  }
}

std::vector<Batch*> BatchTable::PickVictims(bool durable, uint64_t bytes_max, uint64_t records_max,
                                            double live_share_max) const {
  const auto live_share = [](const Batch* batch) {
    return static_cast<double>(batch->live_bytes_) / static_cast<double>(batch->file_bytes_);
  };
  std::vector<Batch*> candidates;
  for (const auto& [first, batch] : batches_) {
    if (batch->unmovable_ || batch->durable_ != durable || batch->live_count_ == 0) continue;
    if (live_share(batch.get()) < live_share_max) candidates.push_back(batch.get());
  }
  std::sort(candidates.begin(), candidates.end(),
            [&](const Batch* a, const Batch* b) { return live_share(a) < live_share(b); });
  std::vector<Batch*> victims;
  uint64_t bytes = 0;
  uint64_t records = 0;
  for (Batch* batch : candidates) {
    // Chunks are copied as they are, so all in one file must be of one size.
    if (!victims.empty() && batch->chunk_stride_bytes_ != victims.front()->chunk_stride_bytes_) {
      continue;
    }
    if (bytes + batch->live_bytes_ > bytes_max || records + batch->live_count_ > records_max) {
      // One victim is always taken: its copy may fill more than one batch.
      if (victims.empty()) victims.push_back(batch);
      break;
    }
    bytes += batch->live_bytes_;
    records += batch->live_count_;
    victims.push_back(batch);
  }
  return victims;
}

}  // namespace spillway::internal
