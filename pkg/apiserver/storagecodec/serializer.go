// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

import (
	"bytes"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/recognizer"
)

// Serializer returns codecs for a scheme's objects in storage: those of the given ones that read and write JSON, which then learn the kind of
// an object from its first bytes where an encoder of this project has written them.
func Serializer(codecs runtime.StorageSerializer, scheme *runtime.Scheme) runtime.StorageSerializer {
	quick := json.NewSerializerWithOptions(leadingKind{}, scheme, scheme, json.SerializerOptions{})
	s := serializer{StorageSerializer: codecs}
	for _, info := range codecs.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeJSON {
			info.Serializer = quick
		}
		s.mediaTypes = append(s.mediaTypes, info)
	}
	s.universal = recognizer.NewDecoder(quick, codecs.UniversalDeserializer())
	return s
}

type serializer struct {
	runtime.StorageSerializer

	mediaTypes []runtime.SerializerInfo
	universal  runtime.Decoder
}

func (s serializer) SupportedMediaTypes() []runtime.SerializerInfo { return slices.Clone(s.mediaTypes) }

func (s serializer) UniversalDeserializer() runtime.Decoder { return s.universal }

// leadingKind is a json.MetaFactory that reads the kind and the version of an object where encoders of Go types write them, which is first. The
// library's own one parses the whole object for them.
type leadingKind struct{}

// Interpret returns the kind of an object.
func (leadingKind) Interpret(data []byte) (*schema.GroupVersionKind, error) {
	if kind, rest, ok := leadingString(data, `{"kind":"`); ok {
		if version, rest, ok := leadingString(rest, `,"apiVersion":"`); ok && len(rest) > 0 && (rest[0] == ',' || rest[0] == '}') {
			if gv, err := schema.ParseGroupVersion(version); err == nil {
				return &schema.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: kind}, nil
			}
		}
	}
	return json.DefaultMetaFactory.Interpret(data)
}

// leadingString returns the string after a prefix that ends with its quote, and what follows its closing quote. It does not read strings that
// have an escape.
func leadingString(data []byte, prefix string) (value string, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(data, []byte(prefix))
	if !ok {
		return "", nil, false
	}
	end := bytes.IndexAny(rest, `"\`)
	if end < 0 || rest[end] != '"' {
		return "", nil, false
	}
	return string(rest[:end]), rest[end+1:], true
}
