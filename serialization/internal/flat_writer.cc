#include "serialization/internal/flat_writer.h"

#include "glog/logging.h"

namespace spillway::internal {
namespace {

// Beyond so many kinds of tables in one object, searching costs more than another vtable.
constexpr size_t kMaxSharedVTables = 64;

}  // namespace

size_t FlatWriter::BeginTable(const TableShape& shape, const void* type, uint64_t present) {
  size_t vtable = SIZE_MAX;
  for (const VTable& known : vtables_) {
    if (known.type == type && known.present == present) {
      vtable = known.position;
      break;
    }
  }
  if (vtable == SIZE_MAX) {
    size_t vtable_size = (2 + shape.field_count) * sizeof(uint16_t);
    vtable = Reserve(vtable_size, sizeof(uint16_t));
    Put<uint16_t>(vtable, static_cast<uint16_t>(vtable_size));
    Put<uint16_t>(vtable + sizeof(uint16_t), shape.table_size);
    PutBytes(vtable + 2 * sizeof(uint16_t), shape.offsets, shape.field_count * sizeof(uint16_t));
    if (vtables_.size() < kMaxSharedVTables) vtables_.push_back({type, present, vtable});
  }
  size_t table = Reserve(shape.table_size, shape.alignment, sizeof(int32_t));
  if (char* at = At(table); at != nullptr) {
    std::memset(at, 0, shape.table_size);
    Store<int32_t>(at, static_cast<int32_t>(table - vtable));
  }
  return table;
}

void FlatWriter::DieOfChange() const {
  LOG(FATAL) << "a value changed while it was encoded: its payload was to have " << limit_
             << " bytes; values must not be written to during a put";
}

}  // namespace spillway::internal
