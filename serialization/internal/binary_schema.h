// Reads the schemas that flatc compiles (reflection.fbs of FlatBuffers).
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_BINARY_SCHEMA_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_BINARY_SCHEMA_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/internal/schema.h"

namespace spillway::internal {

bool IsValidBinarySchema(const void* bytes, size_t size);

// The full names of the tables in it. REQUIRES: it is valid.
std::vector<std::string> TablesOf(const void* bytes);

// The schema of one of them, with all that it reaches.
Schema SchemaOfTable(const void* bytes, std::string_view table_name);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_BINARY_SCHEMA_H_
