#include "tools/spillway/sort/run_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tools/spillway/interruption.h"

namespace spillway::sort {
namespace {

// Copying in sorted order follows entries into the text at random; so many lines ahead they are
// fetched.
constexpr size_t kFetchAheadLines = 16;

// Makes one chunk of the lines [begin, end), which take `bytes`.
absl::StatusOr<Chunk> WriteChunk(const LineBlock& block, size_t begin, size_t end, size_t bytes,
                                 ObjectStore* store) {
  absl::StatusOr<ObjectBuilder> builder = store->Create(bytes);
  if (!builder.ok()) return builder.status();
  const absl::Span<const LineEntry> lines = block.lines();
  const auto line = [&](size_t i) {
    return absl::string_view(block.text() + lines[i].offset, lines[i].length);
  };
  char* out = builder->data().data();
  for (size_t i = begin; i < end; ++i) {
    if (i + kFetchAheadLines < lines.size()) __builtin_prefetch(line(i + kFetchAheadLines).data());
    // The newline stands behind the line in the block too.
    std::memcpy(out, block.text() + lines[i].offset, size_t{lines[i].length} + 1);
    out += size_t{lines[i].length} + 1;
  }
  absl::StatusOr<ObjectRef<RawBytes>> ref = builder->Seal();
  if (!ref.ok()) return ref.status();
  Chunk chunk;
  chunk.ref = *std::move(ref);
  chunk.bytes = bytes;
  chunk.first_code = begin == 0 ? FirstCode(line(0)) : CodeAgainst(line(begin - 1), line(begin));
  chunk.last_line = MakeLinePrefix(line(end - 1));
  return chunk;
}

}  // namespace

absl::StatusOr<Run> WriteRun(const LineBlock& block, RunWriterContext* context) {
  Run run;
  const absl::Span<const LineEntry> lines = block.lines();
  for (size_t begin = 0; begin < lines.size();) {
    absl::Status status = Interruption::Check();
    if (!status.ok()) return status;
    size_t bytes = size_t{lines[begin].length} + 1;
    size_t end = begin + 1;
    for (; end < lines.size() && bytes + lines[end].length + 1 <= context->chunk_bytes; ++end) {
      bytes += size_t{lines[end].length} + 1;
    }
    absl::StatusOr<Chunk> chunk;
    if (bytes > context->chunk_bytes) {
      MutexLock lock(&context->large_chunk_mutex);
      chunk = WriteChunk(block, begin, end, bytes, context->store);
    } else {
      chunk = WriteChunk(block, begin, end, bytes, context->store);
    }
    if (!chunk.ok()) return chunk.status();
    run.chunks.push_back(*std::move(chunk));
    begin = end;
  }
  return run;
}

absl::Status RunWriter::StartChunk(absl::string_view line, OffsetValueCode code) {
  absl::Status status = SealChunk();
  if (!status.ok()) return status;
  absl::StatusOr<ObjectBuilder> builder =
      context_.store->Create(std::max(context_.chunk_bytes, line.size()));
  if (!builder.ok()) return builder.status();
  builder_.emplace(*std::move(builder));
  at_ = builder_->data().data();
  end_ = at_ + builder_->data().size();
  first_code_ = code;
  return absl::OkStatus();
}

absl::Status RunWriter::SealChunk() {
  if (!builder_) return absl::OkStatus();
  Chunk chunk;
  chunk.bytes = static_cast<uint64_t>(at_ - builder_->data().data());
  chunk.first_code = first_code_;
  chunk.last_line = MakeLinePrefix(last_);
  // What the lines left free goes to disk with them: no more than what the next line did not fit
  // into.
  std::memset(at_, 0, static_cast<size_t>(end_ - at_));
  absl::StatusOr<ObjectRef<RawBytes>> ref = builder_->Seal();
  builder_.reset();
  if (!ref.ok()) return ref.status();
  chunk.ref = *std::move(ref);
  run_.chunks.push_back(std::move(chunk));
  return absl::OkStatus();
}

absl::StatusOr<Run> RunWriter::Finish() {
  absl::Status status = SealChunk();
  if (!status.ok()) return status;
  return std::move(run_);
}

}  // namespace spillway::sort
