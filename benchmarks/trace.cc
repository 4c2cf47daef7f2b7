#include "benchmarks/trace.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "zstd.h"

namespace spillway {
namespace {

constexpr std::string_view kMagic = "OBJTRC01";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
constexpr uint32_t kFlagTimes = 1;
constexpr size_t kBlockBytes = size_t{256} * 1024;
constexpr size_t kLineBytesMax = 4096;
constexpr uint64_t kObjectsMax = 0xfffffffeu;

// Gives the next bytes, at most as many as asked for; none at the end.
using Source = std::function<absl::StatusOr<size_t>(char* out, size_t bytes_max)>;

Source SourceOf(std::string_view bytes) {
  return [bytes](char* out, size_t bytes_max) mutable -> absl::StatusOr<size_t> {
    const size_t taken = std::min(bytes_max, bytes.size());
    std::memcpy(out, bytes.data(), taken);
    bytes.remove_prefix(taken);
    return taken;
  };
}

Source SourceOf(std::FILE* file) {
  return [file](char* out, size_t bytes_max) -> absl::StatusOr<size_t> {
    const size_t taken = std::fread(out, 1, bytes_max, file);
    if (taken == 0 && std::ferror(file)) {
      return absl::ErrnoToStatus(errno, "reading failed");
    }
    return taken;
  };
}

// What `head` and then `rest` give.
Source Concatenated(std::string head, Source rest) {
  return [head = std::move(head), offset = size_t{0}, rest = std::move(rest)](
             char* out, size_t bytes_max) mutable -> absl::StatusOr<size_t> {
    if (offset == head.size()) return rest(out, bytes_max);
    const size_t taken = std::min(bytes_max, head.size() - offset);
    std::copy_n(head.data() + offset, taken, out);
    offset += taken;
    return taken;
  };
}

// Decompresses what `compressed` gives.
class ZstdDecoder {
 public:
  explicit ZstdDecoder(Source compressed)
      : compressed_(std::move(compressed)), stream_(ZSTD_createDStream()), buffer_(kBlockBytes) {}
  ~ZstdDecoder() { ZSTD_freeDStream(stream_); }
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  absl::StatusOr<size_t> Read(char* out, size_t bytes_max) {
    ZSTD_outBuffer output = {out, bytes_max, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size) {
        absl::StatusOr<size_t> taken = compressed_(buffer_.data(), buffer_.size());
        if (!taken.ok()) return taken;
        input_ = {buffer_.data(), *taken, 0};
        if (*taken == 0) {
          if (in_frame_) return absl::InvalidArgumentError("the zstd stream is cut short");
          return 0;
        }
      }
      const size_t result = ZSTD_decompressStream(stream_, &output, &input_);
      if (ZSTD_isError(result)) {
        return absl::InvalidArgumentError(
            absl::StrCat("the zstd stream is damaged: ", ZSTD_getErrorName(result)));
      }
      in_frame_ = result != 0;
    }
    return output.pos;
  }

 private:
  Source compressed_;
  ZSTD_DStream* const stream_;
  std::vector<char> buffer_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  bool in_frame_ = false;
};

// Fills `out` unless the source ends before; returns the bytes read.
absl::StatusOr<size_t> ReadFully(const Source& source, char* out, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    absl::StatusOr<size_t> taken = source(out + done, bytes - done);
    if (!taken.ok()) return taken;
    if (*taken == 0) break;
    done += *taken;
  }
  return done;
}

uint32_t Load32(const char* bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes);
  return p[0] | p[1] << 8 | p[2] << 16 | uint32_t{p[3]} << 24;
}

uint64_t Load64(const char* bytes) { return Load32(bytes) | uint64_t{Load32(bytes + 4)} << 32; }

// Reads `count` numbers and hands each on; `use` says why one is wrong.
absl::Status ReadNumbers(const Source& source, absl::string_view what, uint64_t count,
                         const std::function<absl::Status(uint64_t, uint32_t)>& use) {
  std::vector<char> block(kBlockBytes);
  for (uint64_t done = 0; done < count;) {
    const size_t wanted = std::min<uint64_t>(count - done, kBlockBytes / 4);
    absl::StatusOr<size_t> taken = ReadFully(source, block.data(), wanted * 4);
    if (!taken.ok()) return taken.status();
    if (*taken < wanted * 4) {
      return absl::InvalidArgumentError(absl::StrCat("the header promises ", count, " of ", what,
                                                     ", the file ends after ", done + *taken / 4));
    }
    for (size_t i = 0; i < wanted; ++i) {
      absl::Status status = use(done + i, Load32(&block[i * 4]));
      if (!status.ok()) return status;
    }
    done += wanted;
  }
  return absl::OkStatus();
}

absl::StatusOr<Trace> ParseBinary(const Source& source, const TraceReadOptions& options) {
  char header[24];
  absl::StatusOr<size_t> taken = ReadFully(source, header, sizeof(header));
  if (!taken.ok()) return taken.status();
  if (*taken < sizeof(header)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the header takes 24 bytes, the file has ", *taken));
  }
  const uint32_t flags = Load32(header + 8);
  const uint64_t objects = Load32(header + 12);
  const uint64_t requests = Load64(header + 16);
  if ((flags & ~kFlagTimes) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("unknown flags ", flags));
  }
  if (requests > options.requests_max) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the header promises ", requests, " requests, the limit is ", options.requests_max));
  }
  if (objects > kObjectsMax) return absl::InvalidArgumentError("too many objects");

  Trace trace;
  absl::Status status =
      ReadNumbers(source, "object_size", objects, [&trace](uint64_t, uint32_t size_bytes) {
        trace.object_size_bytes.push_back(size_bytes);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  const auto add_request = [&](uint64_t i, uint32_t object) {
    if (object >= objects) {
      return absl::InvalidArgumentError(
          absl::StrCat("request ", i, " is of object ", object, ", there are ", objects));
    }
    if (i < options.take_requests_max) trace.requests.push_back(object);
    return absl::OkStatus();
  };
  status = ReadNumbers(source, "object_id", requests, add_request);
  if (!status.ok()) return status;
  if ((flags & kFlagTimes) != 0) {
    status =
        ReadNumbers(source, "dt_ms", requests, [](uint64_t, uint32_t) { return absl::OkStatus(); });
    if (!status.ok()) return status;
  }
  char extra;
  taken = source(&extra, 1);
  if (!taken.ok()) return taken.status();
  if (*taken != 0) return absl::InvalidArgumentError("there are bytes after the last request");
  return trace;
}

// Splits off the text up to the next comma.
absl::string_view TakeField(absl::string_view* line) {
  const size_t comma = line->find(',');
  absl::string_view field = line->substr(0, comma);
  line->remove_prefix(comma == absl::string_view::npos ? line->size() : comma + 1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\r')) field.remove_suffix(1);
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  return field;
}

class CsvParser {
 public:
  explicit CsvParser(const TraceReadOptions& options) : options_(options) {}

  absl::Status AddLine(absl::string_view line) {
    ++line_number_;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#') return absl::OkStatus();
    if (line_number_ == 1 && (line[0] < '0' || line[0] > '9')) return absl::OkStatus();
    uint64_t id;
    uint32_t size_bytes;
    if (!absl::SimpleAtoi(TakeField(&line), &id)) return Wrong("the id is no number");
    if (!absl::SimpleAtoi(TakeField(&line), &size_bytes)) {
      return Wrong("the size is no number below 2^32");
    }
    if (requests_++ >= options_.requests_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more requests than the limit of ", options_.requests_max));
    }
    if (requests_ > options_.take_requests_max) return absl::OkStatus();
    const auto [it, added] = number_of_id_.try_emplace(id, trace_.object_size_bytes.size());
    if (added) {
      if (trace_.object_size_bytes.size() >= kObjectsMax) return Wrong("too many objects");
      trace_.object_size_bytes.push_back(size_bytes);
    }
    trace_.requests.push_back(it->second);
    return absl::OkStatus();
  }

  Trace Finish() { return std::move(trace_); }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_number_, ": ", what));
  }

  const TraceReadOptions options_;
  Trace trace_;
  absl::flat_hash_map<uint64_t, uint32_t> number_of_id_;
  uint64_t line_number_ = 0;
  uint64_t requests_ = 0;
};

absl::StatusOr<Trace> ParseCsv(const Source& source, const TraceReadOptions& options) {
  CsvParser parser(options);
  std::vector<char> block(kBlockBytes);
  std::string unfinished;
  while (true) {
    absl::StatusOr<size_t> taken = source(block.data(), block.size());
    if (!taken.ok()) return taken.status();
    if (*taken == 0) break;
    unfinished.append(block.data(), *taken);
    size_t begin = 0;
    for (size_t end; (end = unfinished.find('\n', begin)) != std::string::npos; begin = end + 1) {
      absl::Status status =
          parser.AddLine(absl::string_view(unfinished).substr(begin, end - begin));
      if (!status.ok()) return status;
    }
    unfinished.erase(0, begin);
    if (unfinished.size() > kLineBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("a line of more than ", kLineBytesMax, " bytes: this is no trace"));
    }
  }
  absl::Status status = parser.AddLine(unfinished);
  if (!status.ok()) return status;
  return parser.Finish();
}

absl::StatusOr<Trace> ParseSource(Source source, const TraceReadOptions& options) {
  std::string head(kMagic.size(), '\0');
  absl::StatusOr<size_t> taken = ReadFully(source, head.data(), head.size());
  if (!taken.ok()) return taken.status();
  head.resize(*taken);
  const bool compressed = head.substr(0, kZstdMagic.size()) == kZstdMagic;
  if (compressed) {
    auto decoder = std::make_shared<ZstdDecoder>(Concatenated(std::move(head), std::move(source)));
    source = [decoder](char* out, size_t bytes_max) { return decoder->Read(out, bytes_max); };
    head.assign(kMagic.size(), '\0');
    taken = ReadFully(source, head.data(), head.size());
    if (!taken.ok()) return taken.status();
    head.resize(*taken);
  }
  const bool binary = head == kMagic;
  if (head.empty()) return absl::InvalidArgumentError("the file is empty");
  source = Concatenated(std::move(head), std::move(source));
  return binary ? ParseBinary(source, options) : ParseCsv(source, options);
}

absl::StatusOr<Trace> Named(absl::StatusOr<Trace> trace, std::string name) {
  if (!trace.ok()) {
    return absl::Status(trace.status().code(),
                        absl::StrCat("trace ", name, ": ", trace.status().message()));
  }
  trace->name = std::move(name);
  return trace;
}

std::string BaseName(const std::string& path) {
  const std::string file = path.substr(path.rfind('/') + 1);
  return file.substr(0, file.find('.'));
}

}  // namespace

uint64_t Trace::UniqueBytes() const {
  return std::accumulate(object_size_bytes.begin(), object_size_bytes.end(), uint64_t{0});
}

uint64_t Trace::RequestBytes() const {
  uint64_t bytes = 0;
  for (const uint32_t object : requests) bytes += object_size_bytes[object];
  return bytes;
}

absl::StatusOr<Trace> ParseTrace(std::string_view bytes, std::string name,
                                 const TraceReadOptions& options) {
  return Named(ParseSource(SourceOf(bytes), options), std::move(name));
}

absl::StatusOr<Trace> ReadTrace(const std::string& path, const TraceReadOptions& options) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  return Named(ParseSource(SourceOf(file.get()), options), BaseName(path));
}

std::string EncodeTrace(const Trace& trace) {
  std::string out(kMagic);
  const auto put = [&out](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(0, 4);
  put(trace.object_size_bytes.size(), 4);
  put(trace.requests.size(), 8);
  for (const uint32_t size_bytes : trace.object_size_bytes) put(size_bytes, 4);
  for (const uint32_t object : trace.requests) put(object, 4);
  return out;
}

}  // namespace spillway
