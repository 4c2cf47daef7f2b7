#include "tests/store/policies/trace_dir.h"

#include <cstdlib>

namespace spillway {
namespace {

constexpr uint64_t kLargeRequests = 500'000;

// Set once, by main.
std::string trace_dir;
std::string traces = "all";

}  // namespace

void ParseTraceArguments(int argc, char** argv) {
  const std::string dir_prefix = "--trace_dir=";
  const std::string traces_prefix = "--traces=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with(dir_prefix)) trace_dir = argument.substr(dir_prefix.size());
    if (argument.starts_with(traces_prefix)) traces = argument.substr(traces_prefix.size());
  }
}

std::string TraceDir() {
  const char* dir = std::getenv("SPILLWAY_TRACE_DIR");  // NOLINT(concurrency-mt-unsafe)
  return !trace_dir.empty() || dir == nullptr ? trace_dir : dir;
}

bool WantsTraceOf(uint64_t requests) {
  return traces == "all" || (traces == "large") == (requests > kLargeRequests);
}

}  // namespace spillway
