#include "runtime/internal/trace.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway::internal {

namespace {

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<int>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

// Microseconds, as the format has them, exact to the nanosecond.
std::string Micros(int64_t ns) { return absl::StrFormat("%d.%03d", ns / 1000, ns % 1000); }

}  // namespace

Trace::Trace(uint32_t events_max, int workers) : events_max_(events_max) {
  if (!on()) return;
  for (int i = 0; i < workers + 2; ++i) lines_.push_back(std::make_unique<Line>());
}

void Trace::Push(Line* line, const Event& event) {
  MutexLock lock(&line->mutex);
  if (line->ring.size() < events_max_) {
    line->ring.push_back(event);
    return;
  }
  line->ring[line->next] = event;
  line->next = (line->next + 1) % events_max_;
}

void Trace::Add(int line, Kind kind, absl::string_view name, int64_t start_ns, int64_t end_ns) {
  if (!on()) return;
  Event event{start_ns, end_ns - start_ns, kind, 0, {}};
  event.name_size = static_cast<uint8_t>(std::min(name.size(), kNameBytes));
  std::memcpy(event.name.data(), name.data(), event.name_size);
  const size_t workers = lines_.size() - 2;
  const size_t at =
      line >= 0 && static_cast<size_t>(line) < workers ? static_cast<size_t>(line) : workers;
  Push(lines_[at].get(), event);
}

void Trace::AddCounter(absl::string_view name, int64_t at_ns, int64_t value) {
  if (!on()) return;
  Event event{at_ns, value, Kind::kCounter, 0, {}};
  event.name_size = static_cast<uint8_t>(std::min(name.size(), kNameBytes));
  std::memcpy(event.name.data(), name.data(), event.name_size);
  Push(lines_.back().get(), event);
}

std::string Trace::ToJson() const {
  std::string json = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  const char* separator = "";
  for (size_t i = 0; i < lines_.size(); ++i) {
    const bool worker = i + 2 < lines_.size();
    if (i + 1 < lines_.size()) {
      absl::StrAppend(&json, separator, R"({"ph":"M","pid":1,"tid":)", i,
                      R"(,"name":"thread_name","args":{"name":)",
                      Quoted(worker ? absl::StrCat("worker ", i) : std::string("fetches")), "}}");
      separator = ",\n";
    }
    const Line& line = *lines_[i];
    MutexLock lock(&line.mutex);
    for (size_t k = 0; k < line.ring.size(); ++k) {
      const Event& event = line.ring[(line.next + k) % line.ring.size()];
      const std::string name = Quoted({event.name.data(), event.name_size});
      if (event.kind == Kind::kCounter) {
        absl::StrAppend(&json, separator, R"({"ph":"C","pid":1,"name":)", name,
                        ",\"ts\":", Micros(event.start_ns),
                        ",\"args\":{\"value\":", event.length_ns, "}}");
      } else {
        const char* category = event.kind == Kind::kTask   ? "task"
                               : event.kind == Kind::kCall ? "call"
                                                           : "fetch";
        absl::StrAppend(&json, separator, R"({"ph":"X","pid":1,"tid":)", i, ",\"cat\":\"", category,
                        "\",\"name\":", name, ",\"ts\":", Micros(event.start_ns),
                        ",\"dur\":", Micros(event.length_ns), "}");
      }
      separator = ",\n";
    }
  }
  return json + "\n]}\n";
}

absl::Status Trace::Write(const std::string& path) const {
  const std::string json = ToJson();
  std::FILE* const file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return absl::InternalError(absl::StrCat("cannot create ", path));
  const bool written = std::fwrite(json.data(), 1, json.size(), file) == json.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot write ", path));
}

}  // namespace spillway::internal
