// The schema of a type as data: what fingerprints are made from and schema texts are printed from.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serialization/object_type.h"

namespace spillway::internal {

// Larger arrays and tuples of inline types are not inline themselves.
inline constexpr size_t kMaxInlineArrayBytes = 4096;
inline constexpr size_t kMaxInlineTupleBytes = 16384;

// One field of a table or struct; of an enum or union, one value.
struct SchemaField {
  std::string name;
  std::string
      type;  // as schemas write it, with full names: "double", "[geo.Point]"; a value's number
  std::string detail;  // what else changes how it is read: a default, "null" or "required"
};

// One definition.
struct SchemaType {
  enum class Kind { kTable, kStruct, kEnum, kUnion, kPayload };

  Kind kind = Kind::kTable;
  std::string name;  // full: "geo.Point"
  std::string base;  // of an enum, the type beneath it; of a struct, its size and alignment;
                     // of a payload in an encoding without schema, its fingerprint
  std::vector<SchemaField> fields;  // in the order of their ids
};

// A table and everything that it reaches.
struct Schema {
  std::string root;             // the table that payloads start with
  std::string file_identifier;  // four characters, or none
  std::vector<SchemaType> types;
  std::string note;  // for encodings without a schema: what there is to say instead
};

// Collects the definitions that a type reaches, each once. Types that contain themselves end where
// they meet themselves again.
class SchemaBuilder {
 public:
  // Starts a definition, unless there is one of this name: then returns null. The pointer is good
  // until the next Begin; so a codec first lists its fields and then describes their types.
  SchemaType* Begin(SchemaType::Kind kind, std::string name);
  // Adds the definitions of a type that is a payload of its own within this one.
  void AddPayload(const std::string& type_name, const ObjectType& type);
  Schema Finish(std::string root) && {
    schema_.root = std::move(root);
    return std::move(schema_);
  }

 private:
  Schema schema_;
};

// Hash of all definitions; FORMAT.md says what it covers. Never 0, but for a schema without any.
uint64_t FingerprintOf(const Schema& schema);

// Whether `fingerprint` is that of `schema`, or of what it can have been before fields, enum values
// and union members were added at the ends of its definitions, and definitions with them.
bool IsFingerprintOfThisOrOlder(const Schema& schema, uint64_t fingerprint);

// The schema in FlatBuffers' own language.
std::string SchemaToText(const Schema& schema);

// What the `size` bytes of a struct aligned to `alignment` are called in SchemaType::base.
std::string StructBase(size_t size, size_t alignment);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_H_
