package pb

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// FuzzMessages feeds the same bytes to every message of the schema: none may panic, and what one accepts it writes so that it reads the
// same. Seeds are filled messages and every fourth of their prefixes.
func FuzzMessages(f *testing.F) {
	var types []protoreflect.MessageType
	all := File_mesh_proto.Messages()
	for i := range all.Len() {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(all.Get(i).FullName())
		if err != nil {
			f.Fatal(err)
		}
		types = append(types, mt)
		m := mt.New()
		fill(m, 2)
		b, err := proto.Marshal(m.Interface())
		if err != nil {
			f.Fatal(err)
		}
		for n := len(b); n >= 0; n -= 4 {
			f.Add(b[:n])
		}
	}
	if len(types) < 15 {
		f.Fatalf("only %d messages in the schema", len(types))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, mt := range types {
			m := mt.New().Interface()
			if proto.Unmarshal(in, m) != nil {
				continue
			}
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatalf("%s: read, but not written: %v", mt.Descriptor().Name(), err)
			}
			again := mt.New().Interface()
			if err := proto.Unmarshal(b, again); err != nil || !proto.Equal(m, again) {
				t.Fatalf("%s: does not read its own form: %v", mt.Descriptor().Name(), err)
			}
		}
	})
}

// fill sets every field, messages within messages down to depth.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Kind() == protoreflect.MessageKind && depth == 0 {
			continue
		}
		if fd.IsList() {
			l := m.Mutable(fd).List()
			for range 2 {
				if fd.Kind() == protoreflect.MessageKind {
					fill(l.AppendMutable().Message(), depth-1)
				} else {
					l.Append(scalar(fd))
				}
			}
			continue
		}
		if fd.IsMap() {
			key, value := scalar(fd.MapKey()), fd.MapValue()
			if value.Kind() == protoreflect.MessageKind {
				fill(m.Mutable(fd).Map().Mutable(key.MapKey()).Message(), depth-1)
			} else {
				m.Mutable(fd).Map().Set(key.MapKey(), scalar(value))
			}
			continue
		}
		if fd.Kind() == protoreflect.MessageKind {
			fill(m.Mutable(fd).Message(), depth-1)
			continue
		}
		m.Set(fd, scalar(fd))
	}
}

func scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(-2)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(-1 << 40)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(3)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1 << 62)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("späße")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 255})
	}
	panic(fd.Kind().String())
}
