#include "serialization/internal/schema_verifier.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "flatbuffers/reflection.h"
#include "flatbuffers/reflection_generated.h"
#include "serialization/internal/flat_layout.h"

namespace spillway::internal {
namespace {

class SchemaVerifier {
 public:
  SchemaVerifier(PayloadVerifier& verifier, const reflection::Schema& schema)
      : verifier_(verifier), schema_(schema) {}

  bool Table(const reflection::Object& object, size_t table) {
    if (!verifier_.EnterTable(table)) return false;
    bool good = true;
    for (const reflection::Field* field : *object.fields()) {
      good = good && FieldOf(object, *field, table);
    }
    verifier_.LeaveTable();
    return good;
  }

 private:
  // Size and alignment of what stands in a table or vector for a type.
  struct Inline {
    size_t size;
    size_t alignment;
  };

  const reflection::Object& ObjectAt(int32_t index) const {
    return *schema_.objects()->Get(static_cast<flatbuffers::uoffset_t>(index));
  }
  const reflection::Enum& EnumAt(int32_t index) const {
    return *schema_.enums()->Get(static_cast<flatbuffers::uoffset_t>(index));
  }

  Inline InlineOf(reflection::BaseType base, int32_t index) const {
    if (base == reflection::Obj && ObjectAt(index).is_struct()) {
      return {static_cast<size_t>(ObjectAt(index).bytesize()),
              static_cast<size_t>(ObjectAt(index).minalign())};
    }
    size_t size = flatbuffers::GetTypeSize(base);
    return {size, size};
  }

  bool FieldOf(const reflection::Object& object, const reflection::Field& field, size_t table) {
    const reflection::Type& type = *field.type();
    Inline in_line = InlineOf(type.base_type(), type.index());
    size_t at;
    if (!verifier_.Field(table, field.id(), in_line.size, in_line.alignment, &at)) return false;
    if (at == 0) {
      return !field.required() ||
             verifier_.Fail(absl::StrCat("the required field ", field.name()->str(),
                                         " of the table at byte ", table, " is absent"));
    }
    switch (type.base_type()) {
      case reflection::UType:
        return UnionTypeOf(object, field, table, at);
      case reflection::Union:
        return UnionOf(object, field, table, at);
      case reflection::String:
      case reflection::Vector:
        break;
      case reflection::Obj:
        if (ObjectAt(type.index()).is_struct()) return true;
        break;
      default:
        return true;
    }
    size_t target;
    if (!verifier_.Reference(at, &target)) return false;
    if (type.base_type() == reflection::String) return verifier_.String(target);
    if (type.base_type() == reflection::Obj) return Table(ObjectAt(type.index()), target);
    if (type.element() == reflection::Union) return VectorOfUnions(object, field, table, target);
    return Vector(type, target);
  }

  bool Vector(const reflection::Type& type, size_t vector) {
    Inline element = InlineOf(type.element(), type.index());
    size_t data, count;
    if (!verifier_.Vector(vector, element.size, element.alignment, &data, &count)) return false;
    bool of_strings = type.element() == reflection::String;
    bool of_tables = type.element() == reflection::Obj && !ObjectAt(type.index()).is_struct();
    if (!of_strings && !of_tables) return true;
    for (size_t i = 0; i < count; ++i) {
      size_t target;
      if (!verifier_.Reference(data + i * sizeof(uint32_t), &target)) return false;
      if (!(of_strings ? verifier_.String(target) : Table(ObjectAt(type.index()), target))) {
        return false;
      }
    }
    return true;
  }

  // The field that says which member a union field holds stands right before it; so it is with
  // vectors.
  const reflection::Field* WithId(const reflection::Object& object, uint16_t id) const {
    for (const reflection::Field* field : *object.fields()) {
      if (field->id() == id) return field;
    }
    return nullptr;
  }

  bool UnionTypeOf(const reflection::Object& object, const reflection::Field& field, size_t table,
                   size_t at) {
    uint8_t member = static_cast<uint8_t>(verifier_.bytes()[at]);
    if (member == 0) return true;
    const reflection::Field* value = WithId(object, static_cast<uint16_t>(field.id() + 1));
    if (value == nullptr || FieldAt(verifier_.bytes() + table, value->id()) != nullptr) return true;
    if (EnumAt(field.type()->index()).values()->LookupByKey(member) == nullptr) return true;
    return verifier_.Fail(absl::StrCat("the union ", value->name()->str(), " of the table at byte ",
                                       table, " holds nothing"));
  }

  bool UnionOf(const reflection::Object& object, const reflection::Field& field, size_t table,
               size_t at) {
    size_t target, type_at = 0;
    const reflection::Field* type = WithId(object, static_cast<uint16_t>(field.id() - 1));
    if (type == nullptr || !verifier_.Reference(at, &target) ||
        !verifier_.Field(table, type->id(), 1, 1, &type_at)) {
      return type == nullptr;
    }
    return type_at == 0 || Member(EnumAt(field.type()->index()),
                                  static_cast<uint8_t>(verifier_.bytes()[type_at]), target);
  }

  bool VectorOfUnions(const reflection::Object& object, const reflection::Field& field,
                      size_t table, size_t values) {
    size_t types_at, types, types_data, types_count, data, count;
    const reflection::Field* type = WithId(object, static_cast<uint16_t>(field.id() - 1));
    if (type == nullptr) return true;
    if (!verifier_.Field(table, type->id(), sizeof(uint32_t), sizeof(uint32_t), &types_at))
      return false;
    if (types_at == 0) return verifier_.Fail("a vector of unions has no vector of their types");
    if (!verifier_.Reference(types_at, &types) ||
        !verifier_.Vector(types, 1, 1, &types_data, &types_count) ||
        !verifier_.Vector(values, sizeof(uint32_t), sizeof(uint32_t), &data, &count)) {
      return false;
    }
    if (types_count != count) return verifier_.Fail("a vector of unions has more or fewer types");
    for (size_t i = 0; i < count; ++i) {
      uint8_t member = static_cast<uint8_t>(verifier_.bytes()[types_data + i]);
      size_t target;
      if (member == 0) continue;
      if (!verifier_.Reference(data + i * sizeof(uint32_t), &target) ||
          !Member(EnumAt(field.type()->index()), member, target)) {
        return false;
      }
    }
    return true;
  }

  // One value of a union. Members that the schema does not know are left alone, as readers do.
  bool Member(const reflection::Enum& definition, uint8_t member, size_t target) {
    for (const reflection::EnumVal* value : *definition.values()) {
      if (value->value() != member) continue;
      const reflection::Type& type = *value->union_type();
      if (type.base_type() == reflection::String) return verifier_.String(target);
      if (type.base_type() != reflection::Obj) return true;
      if (!ObjectAt(type.index()).is_struct()) return Table(ObjectAt(type.index()), target);
      Inline in_line = InlineOf(type.base_type(), type.index());
      return verifier_.Bytes(target, in_line.size, in_line.alignment);
    }
    return true;
  }

  PayloadVerifier& verifier_;
  const reflection::Schema& schema_;
};

}  // namespace

bool VerifyTableBySchema(PayloadVerifier& verifier, const void* binary_schema,
                         std::string_view table_name, size_t table) {
  const reflection::Schema& schema = *reflection::GetSchema(binary_schema);
  const reflection::Object* object = schema.objects()->LookupByKey(std::string(table_name).c_str());
  return SchemaVerifier(verifier, schema).Table(*object, table);
}

}  // namespace spillway::internal
