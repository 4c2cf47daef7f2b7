#include "runtime/memory_size.h"

#include <fstream>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace spillway {
namespace {

// Kernel files are small; what is longer is none of those meant here.
constexpr size_t kFileBytesMax = 1 << 16;

std::optional<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(kFileBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::string Join(const std::string& root, absl::string_view path) {
  return absl::StrCat(absl::StripSuffix(root, "/"), path);
}

// MemTotal of /proc/meminfo, in bytes.
std::optional<uint64_t> MachineMemoryBytes(const std::string& path) {
  const std::optional<std::string> text = ReadSmallFile(path);
  if (!text) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::ConsumePrefix(&line, "MemTotal:")) continue;
    line = absl::StripAsciiWhitespace(line);
    uint64_t kib = 0;
    if (!absl::ConsumeSuffix(&line, " kB") || !absl::SimpleAtoi(line, &kib)) return std::nullopt;
    return kib * 1024;
  }
  return std::nullopt;
}

// The limit in `path`; nullopt if there is no such file or it says "max".
std::optional<uint64_t> LimitBytes(const std::string& path) {
  const std::optional<std::string> text = ReadSmallFile(path);
  uint64_t bytes = 0;
  if (!text || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &bytes)) return std::nullopt;
  return bytes;
}

// Lowers `found` to the limits in `file` of the group and of all groups above it. Inside a
// container the group's own path may not be visible; its ancestors up to the mount point then are
// what there is.
void ApplyLimits(const std::string& mount, absl::string_view group, absl::string_view file,
                 MemorySize* found) {
  while (true) {
    group = absl::StripSuffix(group, "/");
    const std::string path = absl::StrCat(mount, group, "/", file);
    const std::optional<uint64_t> limit = LimitBytes(path);
    if (limit && *limit > 0 && *limit < found->bytes) *found = {*limit, path};
    if (group.empty()) return;
    group = group.substr(0, group.rfind('/') == absl::string_view::npos ? 0 : group.rfind('/'));
  }
}

}  // namespace

absl::StatusOr<MemorySize> FindMemorySize(const std::string& root) {
  const std::string meminfo = Join(root, "/proc/meminfo");
  const std::optional<uint64_t> machine_bytes = MachineMemoryBytes(meminfo);
  if (!machine_bytes) {
    return absl::NotFoundError(absl::StrCat("cannot find out the machine's memory from ", meminfo));
  }
  MemorySize found = {*machine_bytes, meminfo};

  // Lines are "hierarchy:controllers:group". Version 2 is hierarchy 0 without controllers.
  const std::string groups = ReadSmallFile(Join(root, "/proc/self/cgroup")).value_or("");
  for (absl::string_view line : absl::StrSplit(groups, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (fields[0] == "0" && fields[1].empty()) {
      ApplyLimits(Join(root, "/sys/fs/cgroup"), fields[2], "memory.max", &found);
      ApplyLimits(Join(root, "/sys/fs/cgroup/unified"), fields[2], "memory.max", &found);
      continue;
    }
    for (absl::string_view controller : absl::StrSplit(fields[1], ',')) {
      if (controller != "memory") continue;
      ApplyLimits(Join(root, "/sys/fs/cgroup/memory"), fields[2], "memory.limit_in_bytes", &found);
    }
  }
  return found;
}

}  // namespace spillway
