// Checks tables of unknown origin against a binary schema.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_VERIFIER_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_VERIFIER_H_

#include <cstddef>
#include <string_view>

#include "serialization/internal/payload_verifier.h"

namespace spillway::internal {

// Whether the table at `table`, called `table_name` in the schema, and all that it refers to are as
// the schema says. Stricter than the verifier that flatc generates: vtables are aligned, the limits
// of PayloadVerifier hold for parts that are shared, and a union that says what it holds does hold
// something, without which flatc's object API would follow a null pointer.
// REQUIRES: `binary_schema` is valid and has the table.
bool VerifyTableBySchema(PayloadVerifier& verifier, const void* binary_schema,
                         std::string_view table_name, size_t table);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_VERIFIER_H_
