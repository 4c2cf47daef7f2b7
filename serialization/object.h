// Structs of your own as objects, in one line:
//
//   namespace geo {
//   struct Point { double x, y; };
//   struct Place { std::string name; Point at; std::optional<int> height; std::vector<Point>
//   outline; }; }  // namespace geo
//
//   SPILLWAY_OBJECT(geo::Point, x, y)
//   SPILLWAY_OBJECT(geo::Place, name, at, height, outline)
//
// The line stands at global scope, after the struct and before the first use, and names the type
// with its namespaces: that is its stable name. Members may be of any type that has a codec, up to
// 64 of them.
//
// A struct of scalars alone, such as Point, is a FlatBuffers struct: its bytes in memory are its
// bytes in the payload, a std::vector<Point> is put by one memcpy, and is viewed as
// absl::Span<const Point>; the view of a single one is a const Point*. In exchange it can never
// change.
//
// Any other struct, such as Place, is a FlatBuffers table, whose view has a function for each
// member that returns the member's view: place.name() is a std::string_view, place.at() a const
// Point*. Members may be added to it at the end: what older objects lack reads as empty, and is
// left as the default constructor made it by Decode.
//
// SPILLWAY_TABLE is the same but always makes a table, also of scalars alone, and does not insist
// that every member is named. Members that are not named are not stored.
#ifndef SPILLWAY_SERIALIZATION_OBJECT_H_
#define SPILLWAY_SERIALIZATION_OBJECT_H_

#include "serialization/codec.h"
#include "serialization/internal/object_macros.h"
#include "serialization/internal/wire_object.h"

#define SPILLWAY_OBJECT(Type, ...) SPILLWAY_INTERNAL_OBJECT(Type, false, __VA_ARGS__)
#define SPILLWAY_TABLE(Type, ...) SPILLWAY_INTERNAL_OBJECT(Type, true, __VA_ARGS__)

#endif  // SPILLWAY_SERIALIZATION_OBJECT_H_
