#include "serialization/internal/binary_schema.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "flatbuffers/reflection.h"
#include "flatbuffers/reflection_generated.h"

namespace spillway::internal {
namespace {

constexpr const char* ScalarTypeName(reflection::BaseType type) {
  switch (type) {
    case reflection::Bool:
      return "bool";
    case reflection::Byte:
      return "byte";
    case reflection::UByte:
    case reflection::UType:
      return "ubyte";
    case reflection::Short:
      return "short";
    case reflection::UShort:
      return "ushort";
    case reflection::Int:
      return "int";
    case reflection::UInt:
      return "uint";
    case reflection::Long:
      return "long";
    case reflection::ULong:
      return "ulong";
    case reflection::Float:
      return "float";
    case reflection::Double:
      return "double";
    case reflection::String:
      return "string";
    default:
      return "";
  }
}

// Translates definitions, starting from a table, until all that is reached is there.
class Translator {
 public:
  explicit Translator(const reflection::Schema& schema) : schema_(schema) {}

  Schema Translate(const reflection::Object& root) && {
    AddObject(root);
    Schema schema = std::move(builder_).Finish(root.name()->str());
    if (schema_.root_table() != nullptr && schema_.file_ident() != nullptr &&
        schema_.root_table()->name()->string_view() == root.name()->string_view()) {
      schema.file_identifier = schema_.file_ident()->str();
    }
    return schema;
  }

 private:
  const reflection::Object& ObjectAt(int32_t index) {
    return *schema_.objects()->Get(static_cast<flatbuffers::uoffset_t>(index));
  }
  const reflection::Enum& EnumAt(int32_t index) {
    return *schema_.enums()->Get(static_cast<flatbuffers::uoffset_t>(index));
  }

  std::string TypeName(reflection::BaseType base, int32_t index) {
    if (base == reflection::Obj) return ObjectAt(index).name()->str();
    // The index of a scalar or a union is that of its enum.
    if (index >= 0) return EnumAt(index).name()->str();
    return ScalarTypeName(base);
  }
  std::string TypeName(const reflection::Type& type) {
    switch (type.base_type()) {
      case reflection::Vector:
        return absl::StrCat("[", TypeName(type.element(), type.index()), "]");
      case reflection::Array:
        return absl::StrCat("[", TypeName(type.element(), type.index()), ":", type.fixed_length(),
                            "]");
      default:
        return TypeName(type.base_type(), type.index());
    }
  }

  // The number that says which member of a union is there stands in a field of its own, which the
  // schema's author did not write.
  static bool IsUnionType(const reflection::Type& type) {
    return type.base_type() == reflection::UType ||
           (type.base_type() == reflection::Vector && type.element() == reflection::UType);
  }

  static std::string DetailOf(const reflection::Field& field) {
    if (field.required()) return "required";
    if (field.optional() && ScalarTypeName(field.type()->base_type())[0] != '\0' &&
        field.type()->base_type() != reflection::String) {
      return "null";
    }
    if (field.type()->base_type() == reflection::Bool) {
      return field.default_integer() != 0 ? "true" : "";
    }
    if (field.default_integer() != 0) return absl::StrCat(field.default_integer());
    if (field.default_real() != 0) return absl::StrFormat("%.17g", field.default_real());
    return "";
  }

  void AddObject(const reflection::Object& object) {
    using Kind = SchemaType::Kind;
    SchemaType* type =
        builder_.Begin(object.is_struct() ? Kind::kStruct : Kind::kTable, object.name()->str());
    if (type == nullptr) return;
    if (object.is_struct()) {
      type->base = StructBase(static_cast<size_t>(object.bytesize()),
                              static_cast<size_t>(object.minalign()));
    }
    std::vector<const reflection::Field*> fields(object.fields()->begin(), object.fields()->end());
    std::sort(fields.begin(), fields.end(), [](auto* a, auto* b) { return a->id() < b->id(); });
    for (const reflection::Field* field : fields) {
      if (IsUnionType(*field->type())) continue;
      type->fields.push_back({field->name()->str(), TypeName(*field->type()), DetailOf(*field)});
    }
    for (const reflection::Field* field : fields) AddUsed(*field->type());
  }

  void AddUsed(const reflection::Type& type) {
    if (type.index() < 0) return;
    bool holds_elements =
        type.base_type() == reflection::Vector || type.base_type() == reflection::Array;
    if ((holds_elements ? type.element() : type.base_type()) == reflection::Obj) {
      AddObject(ObjectAt(type.index()));
    } else {
      AddEnum(EnumAt(type.index()));
    }
  }

  void AddEnum(const reflection::Enum& definition) {
    using Kind = SchemaType::Kind;
    SchemaType* type = builder_.Begin(definition.is_union() ? Kind::kUnion : Kind::kEnum,
                                      definition.name()->str());
    if (type == nullptr) return;
    if (!definition.is_union()) {
      type->base = ScalarTypeName(definition.underlying_type()->base_type());
    }
    for (const reflection::EnumVal* value : *definition.values()) {
      if (!definition.is_union()) {
        type->fields.push_back({value->name()->str(), absl::StrCat(value->value()), ""});
      } else if (value->value() != 0) {  // 0 is NONE
        type->fields.push_back({value->name()->str(), TypeName(*value->union_type()), ""});
      }
    }
    if (!definition.is_union()) return;
    for (const reflection::EnumVal* value : *definition.values()) AddUsed(*value->union_type());
  }

  const reflection::Schema& schema_;
  SchemaBuilder builder_;
};

}  // namespace

bool IsValidBinarySchema(const void* bytes, size_t size) {
  flatbuffers::Verifier verifier(static_cast<const uint8_t*>(bytes), size);
  return reflection::VerifySchemaBuffer(verifier);
}

std::vector<std::string> TablesOf(const void* bytes) {
  std::vector<std::string> names;
  for (const reflection::Object* object : *reflection::GetSchema(bytes)->objects()) {
    if (!object->is_struct()) names.push_back(object->name()->str());
  }
  return names;
}

Schema SchemaOfTable(const void* bytes, std::string_view table_name) {
  const reflection::Schema& schema = *reflection::GetSchema(bytes);
  for (const reflection::Object* object : *schema.objects()) {
    std::string_view name(object->name()->c_str(), object->name()->size());
    if (name == table_name) return Translator(schema).Translate(*object);
  }
  return {};
}

}  // namespace spillway::internal
