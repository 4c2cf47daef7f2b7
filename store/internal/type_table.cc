#include "store/internal/type_table.h"

#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "serialization/mutex.h"
#include "serialization/type_registry.h"

namespace spillway::internal {

namespace {

struct Known {
  ObjectType type;
  std::string name;
};

class Table {
 public:
  Table() { Number({}, "raw bytes"); }

  uint16_t Number(const ObjectType& type, absl::string_view name) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    for (auto [at, end] = numbers_.equal_range(type.type_id); at != end; ++at) {
      Known& known = known_[at->second];
      if (!(known.type == type)) continue;
      if (known.name.empty()) known.name = std::string(name);
      return at->second;
    }
    CHECK_LT(known_.size(), 65536u) << "too many types";
    const auto number = static_cast<uint16_t>(known_.size());
    known_.push_back({type, std::string(name)});
    numbers_.emplace(type.type_id, number);
    return number;
  }

  Known Get(uint16_t number) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return known_.at(number);
  }

 private:
  Mutex mutex_;
  std::vector<Known> known_ ABSL_GUARDED_BY(mutex_);
  std::multimap<uint64_t, uint16_t> numbers_ ABSL_GUARDED_BY(mutex_);
};

Table& TheTable() {
  static Table* const table = new Table;  // never deleted: refs may outlive static destructors
  return *table;
}

}  // namespace

uint16_t TypeNumber(const ObjectType& type, absl::string_view name) {
  return TheTable().Number(type, name);
}

ObjectType TypeOf(uint16_t number) { return TheTable().Get(number).type; }

std::string TypeNameOf(uint16_t number) { return TheTable().Get(number).name; }

std::string DescribeType(uint16_t number) {
  const Known known = TheTable().Get(number);
  // What was never asked for by its own type may be known by its name all the same.
  return known.name.empty() ? spillway::TypeNameOf(known.type) : known.name;
}

std::string DescribeMismatch(uint16_t stored, uint16_t wanted) {
  const Known known = TheTable().Get(stored);
  const Known asked = TheTable().Get(wanted);
  if (known.type.type_id != asked.type.type_id || known.type.encoding != asked.type.encoding) {
    return absl::StrFormat("was asked for as %s", DescribeType(wanted));
  }
  return absl::StrFormat(
      "has the schema %016x and was asked for with the schema %016x, which does "
      "not extend the other",
      known.type.fingerprint, asked.type.fingerprint);
}

bool TypesAgree(uint16_t stored, uint16_t wanted) {
  return IsReadableAs(TypeOf(stored), TypeOf(wanted));
}

}  // namespace spillway::internal
