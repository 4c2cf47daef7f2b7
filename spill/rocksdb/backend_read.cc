// Reading: each chunk is one Get, checked against its envelope and put where it belongs.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "spill/internal/chunk_codec.h"
#include "spill/rocksdb/backend_impl.h"
#include "spill/rocksdb/record_key.h"

namespace spillway::internal {
namespace {

// What a read takes beside the bytes asked for: the rest of the block.
constexpr uint64_t kSmallReadBytes = 8 << 10;

}  // namespace

void RocksDbBackend::Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) {
  statuses->assign(reads.size(), absl::OkStatus());
  Operation operation(this);
  if (!operation.admitted()) {
    std::fill(statuses->begin(), statuses->end(),
              absl::UnavailableError("the spill backend is closed"));
    return;
  }
  // In order of place: neighbours on disk are read one after the other.
  std::vector<size_t> order(reads.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return reads[a].ticket < reads[b].ticket; });

  std::vector<ChunkRead> chunks;
  std::vector<Batch*> pinned;
  std::vector<size_t> elsewhere;
  {
    MutexLock lock(&mutex_);
    for (size_t i : order) {
      Batch* batch = table_.Pin(reads[i].ticket);
      if (batch == nullptr) {
        elsewhere.push_back(i);
        continue;
      }
      pinned.push_back(batch);
      const uint32_t count = ChunkCount(reads[i].out.size(), batch->chunk_stride_bytes());
      for (uint32_t chunk = 0; chunk < count; ++chunk) {
        chunks.push_back({&reads[i], batch, chunk});
      }
    }
  }

  for (size_t i : elsewhere) (*statuses)[i] = ReadInline(reads[i]);

  Mutex status_mutex;
  read_pool_->Run(chunks.size(), [&](size_t i) {
    absl::Status status = ReadChunk(chunks[i]);
    if (status.ok()) return;
    MutexLock lock(&status_mutex);
    absl::Status& first = (*statuses)[static_cast<size_t>(chunks[i].read - reads.data())];
    if (first.ok()) first = std::move(status);
  });

  {
    MutexLock lock(&mutex_);
    for (Batch* batch : pinned) {
      if (table_.Unpin(batch)) reclaim_wanted_.Signal();
    }
  }
  uint64_t read_bytes = 0;
  for (size_t i = 0; i < reads.size(); ++i) {
    if ((*statuses)[i].ok()) {
      read_bytes += reads[i].out.size();
    } else if (absl::IsDataLoss((*statuses)[i])) {
      NoteDamage((*statuses)[i]);
    }
  }
  read_bytes_.fetch_add(read_bytes, std::memory_order_relaxed);
}

absl::Status RocksDbBackend::ReadChunk(const ChunkRead& chunk) {
  const SpillRead& read = *chunk.read;
  const uint64_t stride = chunk.batch->chunk_stride_bytes();
  const uint64_t offset = chunk.chunk_number * stride;
  const absl::Span<char> out = read.out.subspan(offset, stride);

  // A block holds the record and, where records are small, its neighbours.
  const ByteBudget::Share share(
      &read_budget_, plan_.read_bytes_per_chunk * (out.size() + kSmallReadBytes) / stride);
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = database_->Get(
      chunk.batch->durable(), RecordKey(read.ticket, chunk.chunk_number).slice(), &value);
  absl::Status status;
  if (got.ok()) {
    const absl::string_view record(value.data(), value.size());
    RecordHeader header;
    status = DecodeRecordHeader(record, &header);
    if (status.ok())
      status = CheckHeader(read, chunk.chunk_number, chunk.batch->chunk_stride_bytes(), header);
    if (status.ok()) {
      status = DecompressChunk(header.compression, record.substr(kRecordHeaderBytes), out);
    }
  } else {
    status = FromRocksDb(got, "RocksDB");
  }
  return status.ok() ? status : RestoreError(read, chunk.chunk_number, status);
}

absl::Status RocksDbBackend::RestoreError(const SpillRead& read, uint32_t chunk_number,
                                          const absl::Status& cause) {
  return absl::Status(cause.code(), absl::StrCat("object ", read.object_id, " of ", read.out.size(),
                                                 " bytes cannot be restored (ticket ", read.ticket,
                                                 ", chunk ", chunk_number, "): ", cause.message()));
}

absl::Status RocksDbBackend::CheckHeader(const SpillRead& read, uint32_t chunk_number,
                                         uint32_t chunk_stride_bytes, const RecordHeader& header) {
  if (header.object_id == read.object_id && header.type == read.type &&
      header.payload_bytes == read.out.size() && header.chunk_number == chunk_number &&
      header.chunk_stride_bytes == chunk_stride_bytes) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "the record there is chunk ", header.chunk_number, " of object ", header.object_id, ", type ",
      absl::Hex(header.type.type_id), ", ", header.payload_bytes, " bytes"));
}

void RocksDbBackend::NoteDamage(const absl::Status& status) {
  damaged_records_.fetch_add(1, std::memory_order_relaxed);
  std::string note;
  if (damage_log_.MayLog(&note)) LOG(ERROR) << status.message() << note;
}

void RocksDbBackend::Release(SpillTicket ticket) {
  MutexLock lock(&mutex_);
  if (closing_ || options_.read_only) return;
  Batch* batch = table_.Pin(ticket);
  if (batch == nullptr) {
    // It may stand in the index; the reclaim thread looks. It was never given out if it is beyond
    // this.
    if (ticket != kNoTicket && ticket < next_ticket_) QueueRelease(ticket);
    return;
  }
  const bool durable = batch->durable();
  bool dead = false;
  table_.Release(ticket, &dead);
  dead = table_.Unpin(batch);
  if (durable) QueueRelease(ticket);
  nothing_to_move_ = false;
  if (dead || HasReclaimWork()) reclaim_wanted_.Signal();
}

}  // namespace spillway::internal
