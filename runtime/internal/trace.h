// The timeline: what ran when, the newest events of each worker, in the Chrome trace format.
#ifndef SPILLWAY_RUNTIME_INTERNAL_TRACE_H_
#define SPILLWAY_RUNTIME_INTERNAL_TRACE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// Thread-safe. An event costs a lock that nobody else wants and a copy of 64 bytes.
class Trace {
 public:
  enum class Kind : uint8_t { kTask, kCall, kFetch, kCounter };

  // Lines of the timeline: one per worker, and one each for fetches and for the store's counters.
  Trace(uint32_t events_max, int workers);

  bool on() const { return events_max_ > 0; }

  // `line` is a worker's number; anything else is the line of those without one.
  void Add(int line, Kind kind, absl::string_view name, int64_t start_ns, int64_t end_ns);
  // The value of a counter at a moment.
  void AddCounter(absl::string_view name, int64_t at_ns, int64_t value);

  // Everything kept, as JSON.
  std::string ToJson() const;
  // Internal if the file cannot be written.
  absl::Status Write(const std::string& path) const;

 private:
  static constexpr size_t kNameBytes = 32;
  struct Event {
    int64_t start_ns;
    int64_t length_ns;  // a counter's value
    Kind kind;
    uint8_t name_size;
    std::array<char, kNameBytes> name;
  };
  struct alignas(64) Line {
    mutable Mutex mutex;
    std::vector<Event> ring ABSL_GUARDED_BY(mutex);
    size_t next ABSL_GUARDED_BY(mutex) = 0;  // where the oldest is, once it is full
  };

  void Push(Line* line, const Event& event);

  const uint32_t events_max_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_TRACE_H_
