#include "spill/rocksdb/batch_builder.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "spill/internal/chunk_codec.h"
#include "spill/rocksdb/record_key.h"

namespace spillway::internal {
namespace {

// What a record costs in the file beside its bytes: key, block trailer, index entry.
constexpr uint64_t kPerChunkOverheadBytes = 40;

}  // namespace

BatchBuilder::BatchBuilder(SpillDatabase* database, BuilderBuffers* buffers,
                           ChunkCompression compression, std::string path, SpillTicket first_ticket)
    : database_(database),
      buffers_(buffers),
      compression_(compression),
      path_(std::move(path)),
      first_ticket_(first_ticket) {
  if (buffers_->record == nullptr) {
    buffers_->record =
        std::make_unique_for_overwrite<char[]>(kRecordHeaderBytes + buffers_->chunk_stride_bytes);
  }
}

BatchBuilder::~BatchBuilder() {
  writer_.reset();
  // Also what the database should have moved but could only link: a second name would keep the
  // space of a file that is dropped.
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    PLOG(WARNING) << "cannot remove " << path_;
  }
}

absl::Status BatchBuilder::Open() {
  writer_ = std::make_unique<rocksdb::SstFileWriter>(
      database_->builder_env_options(), database_->builder_options(), /*column_family=*/nullptr,
      /*invalidate_page_cache=*/false);
  const rocksdb::Status status = writer_->Open(path_);
  failed_ = !status.ok();
  return FromRocksDb(status, "cannot begin a batch");
}

absl::Status BatchBuilder::Put(uint32_t chunk_number, absl::string_view stored_record) {
  // RocksDB forbids to call a writer again that has failed.
  CHECK(!failed_) << "a batch builder is used after it failed";
  const RecordKey key(first_ticket_ + disk_bytes_.size() - 1, chunk_number);
  const rocksdb::Status status =
      writer_->Put(key.slice(), rocksdb::Slice(stored_record.data(), stored_record.size()));
  failed_ = !status.ok();
  disk_bytes_.back() += stored_record.size() + kPerChunkOverheadBytes;
  return FromRocksDb(status, "cannot write a batch");
}

absl::Status BatchBuilder::Add(const SpillRecord& record) {
  disk_bytes_.push_back(0);
  RecordHeader header;
  header.object_id = record.object_id;
  header.type = record.type;
  header.durable = record.durable;
  header.payload_bytes = record.payload.size();
  header.chunk_stride_bytes = buffers_->chunk_stride_bytes;
  header.chunk_count = ChunkCount(header.payload_bytes, header.chunk_stride_bytes);
  char* const out = buffers_->record.get();
  for (header.chunk_number = 0; header.chunk_number < header.chunk_count; ++header.chunk_number) {
    const absl::Span<const char> chunk =
        record.payload.subspan(header.chunk_offset(), header.chunk_bytes());
    const size_t compressed = CompressChunk(compression_, chunk, out + kRecordHeaderBytes);
    if (compressed == 0 && !chunk.empty()) {
      std::memcpy(out + kRecordHeaderBytes, chunk.data(), chunk.size());
    }
    header.compression = compressed == 0 ? ChunkCompression::kNone : compression_;
    header.stored_bytes = static_cast<uint32_t>(compressed == 0 ? chunk.size() : compressed);
    EncodeRecordHeader(header, out);
    absl::Status status =
        Put(header.chunk_number, absl::string_view(out, kRecordHeaderBytes + header.stored_bytes));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status BatchBuilder::AddStored(const RecordHeader& header, absl::string_view stored_record) {
  if (header.chunk_number == 0) disk_bytes_.push_back(0);
  return Put(header.chunk_number, stored_record);
}

absl::Status BatchBuilder::Finish() {
  CHECK(!failed_) << "a batch builder is used after it failed";
  rocksdb::ExternalSstFileInfo info;
  const rocksdb::Status status = writer_->Finish(&info);
  failed_ = !status.ok();
  file_bytes_ = info.file_size;
  return FromRocksDb(status, "cannot finish a batch");
}

absl::Status BatchBuilder::Ingest(bool durable) {
  CHECK(!failed_) << "a batch builder is used after it failed";
  writer_.reset();
  const rocksdb::Status status = database_->Ingest(durable, path_);
  return FromRocksDb(status, "cannot take a batch into the database");
}

}  // namespace spillway::internal
