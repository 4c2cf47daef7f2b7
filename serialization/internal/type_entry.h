// How codecs make their types known (type_registry.h has what others ask about them).
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_TYPE_ENTRY_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_TYPE_ENTRY_H_

#include <cstdint>
#include <string>

#include "serialization/internal/schema.h"
#include "serialization/object_type.h"

namespace spillway::internal {

// All of these are thread-safe.

// The identity of a type whose payloads are FlatBuffers; registers it. Programs with two types of
// the same name and different schemas die of that.
ObjectType InternType(const std::string& name, Schema (*describe)());

// Calls `intern` before the registry is asked for the first time. For initialisers of globals.
void AnnounceType(void (*intern)());

// What the program knows of a table that flatc generated.
struct TableInfo {
  const char* name = "";
  ObjectType type;
  std::string file_identifier;          // four characters, or none
  const void* binary_schema = nullptr;  // null if it was not registered
};
TableInfo FindTable(const char* name);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_TYPE_ENTRY_H_
