// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// UnreadableError is about a stored value that would be more than MaxRead when decompressed.
type UnreadableError struct {
	// Key is where it is in etcd.
	Key string
}

// Error names the key, and what to do.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("the object at %s is more than %d bytes decompressed, or damaged, and is not read: delete it by its name", e.Key, MaxRead)
}

// unreadable returns a stub of a value that is too large where one will do, and an *UnreadableError otherwise.
func unreadable(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	failure := &UnreadableError{Key: string(dataCtx.AuthenticatedData())}
	access := accessOf(ctx)
	if access == nil || !access.stubs {
		return nil, failure
	}
	stub, err := stubOf(data, failure)
	if err != nil {
		return nil, fmt.Errorf("%w: its metadata cannot be read either, so that it can be deleted in etcd only: %w", failure, err)
	}
	access.stub = true
	return stub, nil
}

// stubOf returns of a compressed object what comes before its content, with an annotation that has the reason.
func stubOf(data []byte, reason error) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data[len(prefix):]))
	if err != nil {
		return nil, err
	}
	var stub struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
	}
	decoder := json.NewDecoder(io.LimitReader(r, MaxRead))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	for _, field := range []struct {
		name string
		into any
	}{{"kind", &stub.Kind}, {"apiVersion", &stub.APIVersion}, {"metadata", &stub.Metadata}} {
		switch name, err := decoder.Token(); {
		case err != nil:
			return nil, err
		case name != field.name:
			return nil, fmt.Errorf("%v stands where %s should", name, field.name)
		}
		if err := decoder.Decode(field.into); err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	metav1.SetMetaDataAnnotation(&stub.Metadata, wellknown.UnreadableAnnotation, reason.Error())
	return json.Marshal(stub)
}
