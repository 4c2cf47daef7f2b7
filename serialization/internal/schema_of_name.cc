#include "serialization/internal/schema_of_name.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "serialization/internal/flat_layout.h"
#include "serialization/internal/type_name.h"

namespace spillway::internal {
namespace {

using Kind = SchemaType::Kind;

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Names come from command lines too.
constexpr int kMaxDepth = 32;

// What Wire<T> says of a T.
struct Shape {
  std::string part_name;
  std::string flat_type;   // as a field
  std::string root_table;  // what it is, or is in, as a root and as an element that is not inline
  size_t size = 0;         // of an inline type
  size_t alignment = 0;
  bool is_inline = false;
  bool is_struct = false;
  bool is_string = false;
  bool is_table = false;
  bool is_optional = false;
  bool is_scalar = false;
  std::function<void(SchemaBuilder*)> describe = [](SchemaBuilder*) {};
};

struct Scalar {
  const char* flat_type;
  size_t size;
};
constexpr Scalar kScalars[] = {{"bool", 1},   {"byte", 1},  {"ubyte", 1}, {"short", 2},
                               {"ushort", 2}, {"int", 4},   {"uint", 4},  {"long", 8},
                               {"ulong", 8},  {"float", 4}, {"double", 8}};

class NameParser {
 public:
  using Find = std::function<std::optional<NamedType>(const std::string&)>;

  NameParser(std::string_view name, const Find& find) : rest_(name), find_(find) {}

  std::optional<Schema> Parse() {
    std::optional<Shape> shape = ParseType(0);
    if (!shape || !rest_.empty()) return std::nullopt;
    SchemaBuilder builder;
    DescribeRoot(*shape, &builder);
    return std::move(builder).Finish(shape->root_table);
  }

 private:
  bool Consume(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<Shape> ParseType(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    size_t end = std::min(rest_.find_first_of("<,>"), rest_.size());
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    if (!Consume('<')) return word == "monostate" ? Monostate() : NamedShape(word);
    if (word == "ref") return ParseRef();

    std::vector<Shape> parts;
    size_t length = 0;
    while (!Consume('>')) {
      if (!parts.empty() && !Consume(',')) return std::nullopt;
      if (word == "array" && parts.size() == 1) {
        size_t digits = std::min(rest_.find('>'), rest_.size());
        absl::string_view number(rest_.data(), digits);
        if (!absl::SimpleAtoi(number, &length) || length == 0) return std::nullopt;
        rest_.remove_prefix(digits);
        continue;
      }
      std::optional<Shape> part = ParseType(depth + 1);
      if (!part || parts.size() == 64) return std::nullopt;
      parts.push_back(*std::move(part));
    }
    return Compose(word, std::move(parts), length);
  }

  // A reference to another object is that object's id, whatever its type: up to the bracket that
  // closes the one before.
  std::optional<Shape> ParseRef() {
    size_t open = 1, end = 0;
    for (; end < rest_.size() && open > 0; ++end) {
      if (rest_[end] == '<') ++open;
      if (rest_[end] == '>') --open;
    }
    if (open > 0 || end == 1) return std::nullopt;
    Shape shape;
    shape.part_name = PartNameOf(absl::StrCat("ref<", AsAbsl(rest_.substr(0, end))));
    rest_.remove_prefix(end);
    shape.flat_type = "ulong";
    shape.root_table = InTypes(shape.part_name);
    shape.size = shape.alignment = sizeof(uint64_t);
    shape.is_inline = shape.is_scalar = true;
    return shape;
  }

  static std::optional<Shape> Compose(const std::string& word, std::vector<Shape> parts,
                                      size_t length) {
    if (word == "tuple") return Tuple(std::move(parts));
    if (word == "variant" && !parts.empty()) return Variant(std::move(parts));
    if (word == "pair" && parts.size() == 2) return Pair(std::move(parts));
    if (word == "map" && parts.size() == 2) return Map(parts[0], parts[1]);
    if (parts.size() != 1) return std::nullopt;
    if (word == "vector") return Vector(parts[0]);
    if (word == "optional") return Optional(parts[0]);
    if (word == "array" && length != 0) return Array(parts[0], length);
    return std::nullopt;
  }

  // A type that somebody registered.
  std::optional<Shape> NamedShape(const std::string& name) {
    std::optional<NamedType> found = find_(name);
    if (!found) return std::nullopt;
    Shape shape;
    shape.part_name = PartNameOf(name);
    if (found->type.encoding != Encoding::kFlatBuffer || found->is_generated_table) {
      shape.flat_type = "[ubyte]";
      shape.root_table = InTypes(shape.part_name);
      ObjectType type = found->type;
      shape.describe = [name, type](SchemaBuilder* builder) { builder->AddPayload(name, type); };
      return shape;
    }
    const SchemaType& root = found->schema.types[0];
    shape.root_table = root.name;
    if (root.name == name) {
      shape.flat_type = name;
      shape.is_table = true;
    } else {
      shape.flat_type = root.fields[0].type;
      shape.part_name = root.name.substr(sizeof(kTypesNamespace) - 1);
      shape.is_string = shape.flat_type == "string";
      for (const Scalar& scalar : kScalars) {
        if (shape.flat_type != scalar.flat_type) continue;
        shape.size = shape.alignment = scalar.size;
        shape.is_inline = shape.is_scalar = true;
      }
      for (const SchemaType& type : found->schema.types) {
        if (type.kind != Kind::kStruct || type.name != shape.flat_type) continue;
        std::pair<std::string, std::string> base = absl::StrSplit(type.base, '/');
        if (!absl::SimpleAtoi(base.first, &shape.size) ||
            !absl::SimpleAtoi(base.second, &shape.alignment)) {
          return std::nullopt;
        }
        shape.is_inline = shape.is_struct = true;
        shape.part_name = PartNameOf(name);
      }
    }
    // All definitions but the table around the value.
    bool without_root = !shape.is_table;
    shape.describe = [schema = found->schema, without_root](SchemaBuilder* builder) {
      for (size_t i = without_root ? 1 : 0; i < schema.types.size(); ++i) {
        SchemaType* type = builder->Begin(schema.types[i].kind, schema.types[i].name);
        if (type != nullptr) *type = schema.types[i];
      }
    };
    return shape;
  }

  static std::string InTypes(const std::string& part_name) { return kTypesNamespace + part_name; }

  // A T as a table: itself, or alone in one.
  static void DescribeRoot(const Shape& shape, SchemaBuilder* builder) {
    if (!shape.is_table) {
      SchemaType* table = builder->Begin(Kind::kTable, shape.root_table);
      if (table == nullptr) return;
      table->fields.push_back({"value", shape.flat_type, Detail(shape)});
    }
    shape.describe(builder);
  }

  static std::string Detail(const Shape& field) {
    return field.is_optional && field.is_scalar ? "null" : "";
  }

  // A table with these fields.
  static Shape Table(std::string part_name, std::vector<std::string> names,
                     std::vector<Shape> fields) {
    Shape shape;
    shape.flat_type = shape.root_table = InTypes(part_name);
    shape.part_name = std::move(part_name);
    shape.is_table = true;
    shape.describe = [name = shape.flat_type, names = std::move(names),
                      fields = std::move(fields)](SchemaBuilder* builder) {
      SchemaType* table = builder->Begin(Kind::kTable, name);
      if (table == nullptr) return;
      for (size_t i = 0; i < fields.size(); ++i) {
        table->fields.push_back({names[i], fields[i].flat_type, Detail(fields[i])});
      }
      for (const Shape& field : fields) field.describe(builder);
    };
    return shape;
  }

  static Shape Struct(std::string part_name, std::vector<std::string> names,
                      std::vector<Shape> fields) {
    Shape shape;
    shape.flat_type = InTypes(part_name);
    shape.root_table = shape.flat_type + "Object";
    shape.part_name = std::move(part_name);
    shape.is_inline = shape.is_struct = true;
    for (const Shape& field : fields) {
      shape.size = AlignUp(shape.size, field.alignment) + field.size;
      shape.alignment = std::max(shape.alignment, field.alignment);
    }
    shape.size = AlignUp(shape.size, shape.alignment);
    std::string base = StructBase(shape.size, shape.alignment);
    shape.describe = [name = shape.flat_type, base, names = std::move(names),
                      fields = std::move(fields)](SchemaBuilder* builder) {
      SchemaType* type = builder->Begin(Kind::kStruct, name);
      if (type == nullptr) return;
      type->base = base;
      for (size_t i = 0; i < fields.size(); ++i) {
        type->fields.push_back({names[i], fields[i].flat_type, ""});
      }
      for (const Shape& field : fields) field.describe(builder);
    };
    return shape;
  }

  // As a field an optional is its value's field; elsewhere a table with it.
  static Shape Optional(const Shape& value) {
    Shape field = value;
    if (value.is_optional) {
      // Of an optional, the table.
      field.flat_type = value.root_table;
      field.is_scalar = false;
      field.describe = [value](SchemaBuilder* builder) { DescribeRoot(value, builder); };
    }
    field.is_optional = true;
    field.is_inline = field.is_struct = field.is_string = false;
    field.is_table = false;
    field.part_name = "OptionalOf" + value.part_name;
    field.root_table = InTypes(field.part_name);
    return field;
  }
  static Shape Vector(const Shape& element) {
    Shape shape;
    shape.part_name = "VectorOf" + element.part_name;
    shape.root_table = InTypes(shape.part_name);
    bool in_table = !element.is_inline && !element.is_string;
    shape.flat_type = absl::StrCat("[", in_table ? element.root_table : element.flat_type, "]");
    shape.describe = [element, in_table](SchemaBuilder* builder) {
      if (in_table) {
        DescribeRoot(element, builder);
      } else {
        element.describe(builder);
      }
    };
    return shape;
  }

  static Shape Array(const Shape& element, size_t length) {
    std::string part_name = absl::StrCat("Array", length, "Of", element.part_name);
    if (element.is_inline && length <= kMaxInlineArrayBytes / element.size) {
      Shape field = element;
      field.flat_type = absl::StrCat("[", element.flat_type, ":", length, "]");
      field.size = length * element.size;
      return Struct(part_name, {"value"}, {field});
    }
    Shape shape = Vector(element);
    shape.part_name = part_name;
    shape.root_table = InTypes(part_name);
    return shape;
  }

  static std::vector<std::string> Numbered(size_t count) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back(absl::StrCat("v", i));
    return names;
  }
  static std::string Joined(const std::vector<Shape>& parts, const char* separator) {
    std::string joined;
    for (const Shape& part : parts) {
      absl::StrAppend(&joined, joined.empty() ? "" : separator, part.part_name);
    }
    return joined;
  }
  static bool AllInline(const std::vector<Shape>& parts) {
    size_t size = 0;
    for (const Shape& part : parts) {
      if (!part.is_inline) return false;
      size = AlignUp(size, part.alignment) + part.size;
    }
    return !parts.empty() && size <= kMaxInlineTupleBytes;
  }

  static Shape Pair(std::vector<Shape> parts) {
    std::string part_name = "PairOf" + Joined(parts, "And");
    bool is_inline = AllInline(parts);
    return (is_inline ? Struct : Table)(part_name, {"first", "second"}, std::move(parts));
  }
  static Shape Tuple(std::vector<Shape> parts) {
    std::string part_name = absl::StrCat("Tuple", parts.size(), "Of", Joined(parts, "And"));
    bool is_inline = AllInline(parts);
    std::vector<std::string> names = Numbered(parts.size());
    return (is_inline ? Struct : Table)(part_name, std::move(names), std::move(parts));
  }
  static Shape Variant(std::vector<Shape> parts) {
    std::string part_name = absl::StrCat("Variant", parts.size(), "Of", Joined(parts, "Or"));
    std::vector<std::string> names = Numbered(parts.size());
    names.insert(names.begin(), "index");
    Shape index;
    index.flat_type = "ubyte";
    parts.insert(parts.begin(), index);
    return Table(part_name, std::move(names), std::move(parts));
  }
  static Shape Monostate() { return Table("Monostate", {}, {}); }
  static Shape Map(const Shape& key, const Shape& value) {
    return Table(absl::StrCat("MapOf", key.part_name, "To", value.part_name), {"keys", "values"},
                 {Vector(key), Vector(value)});
  }

  std::string_view rest_;
  const Find& find_;
};

}  // namespace

std::optional<Schema> SchemaOfName(
    std::string_view name,
    const std::function<std::optional<NamedType>(const std::string&)>& find) {
  return NameParser(name, find).Parse();
}

}  // namespace spillway::internal
