// Makes the tables that flatc generated known with their schemas.
#ifndef SPILLWAY_SERIALIZATION_BINARY_SCHEMA_H_
#define SPILLWAY_SERIALIZATION_BINARY_SCHEMA_H_

#include <cstddef>

namespace spillway {

// Registers the tables of a binary schema, as `flatc -b --schema` writes it and --bfbs-gen-embed
// embeds it, so that their fingerprints and file identifiers are checked and SchemaText knows them.
// Tables that are not registered are checked by their names alone. The rule flatbuffers_cc_library
// does this by itself; elsewhere, in one of the program's sources:
//
//   const bool registered = spillway::RegisterBinarySchema(
//       acme::SceneBinarySchema::data(), acme::SceneBinarySchema::size());
//
// The bytes must live as long as the program; the call comes before the first use of the tables'
// codecs, in the initialiser of a global at best. Returns true. A program that registers bytes
// which are no binary schema, or two different schemas of one table, dies of it at the first use.
// Thread-safe.
bool RegisterBinarySchema(const void* bytes, size_t size);

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_BINARY_SCHEMA_H_
