// Schemas of types that no code of this program mentions, from their names alone.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_OF_NAME_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_OF_NAME_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "serialization/internal/schema.h"

namespace spillway::internal {

// A type that is not composed of others, as far as those that are composed of it need to know it.
struct NamedType {
  ObjectType type;
  Schema schema;
  bool is_generated_table = false;  // by flatc
};

// The schema of a composed type such as "map<string,vector<pair<int32,geo.Point>>>"; nothing if the
// name is malformed or `find` does not know a part of it. Names are those of Codec<T>::TypeName,
// without spaces. `find` is called for names without "<".
//
// This says at run time what wire.h and its companions say during compilation.
std::optional<Schema> SchemaOfName(
    std::string_view name, const std::function<std::optional<NamedType>(const std::string&)>& find);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_OF_NAME_H_
