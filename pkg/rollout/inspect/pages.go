// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"k8s.io/client-go/rest"
)

const (
	// firstPage is how many objects the first page of a list has, smallestPage and largestPage how many the others have. Their number
	// follows from the size of the objects: an answer of pageBytes comes as fast as it can, and a larger one at a member's pace.
	firstPage, smallestPage, largestPage = 20, 10, 500
	pageBytes                            = 200 << 10
	// maxItem is how large one object may be, in bytes. etcd has none that come near it.
	maxItem = 3 << 20
	// onlyMetadata asks for objects without anything but their metadata.
	onlyMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	wholeObjects = "application/json"
)

// errEnough ends a list before its end, without an error.
var errEnough = errors.New("enough is known")

// tooManyError says that a member has, or pretends to have, more objects than are read.
type tooManyError struct {
	resource string
	limit    int
}

func (e *tooManyError) Error() string {
	return fmt.Sprintf("the member has more than %d %s, and no more are read", e.limit, e.resource)
}

// pages reads a list of a member object by object, whatever its length, and never has more than one of them in memory.
type pages struct {
	client rest.Interface
	// resource is the plural name of a core kind, accept the form of the answer.
	resource, accept string
	// fieldSelector leaves out what need not be sent.
	fieldSelector string
	// limit is how many objects are read; more are a tooManyError.
	limit int
}

// each calls f for each object of the list. An error of f ends it.
func each[T any](ctx context.Context, p pages, f func(*T) error) error {
	next, size, seen := "", firstPage, 0
	for {
		request := p.client.Get().Resource(p.resource).SetHeader("Accept", p.accept).Param("limit", strconv.Itoa(size))
		if p.fieldSelector != "" {
			request = request.Param("fieldSelector", p.fieldSelector)
		}
		if next != "" {
			request = request.Param("continue", next)
		}
		body, err := request.Stream(ctx)
		if err != nil {
			return fmt.Errorf("listing %s: %w", p.resource, err)
		}
		reader, before := &itemReader{Reader: body}, seen
		next, err = eachItem(reader, func(item *T) error {
			if seen++; seen > p.limit {
				return &tooManyError{p.resource, p.limit}
			}
			return f(item)
		})
		_ = body.Close()
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s: %w", p.resource, err)
		case next == "":
			return nil
		case seen == before:
			return fmt.Errorf("listing %s: a page of the member's is empty and promises another", p.resource)
		}
		size = min(max(int(pageBytes*int64(seen-before)/max(reader.total, 1)), smallestPage), largestPage)
	}
}

// eachItem calls f for each item of a list, and returns where the list goes on, empty for nowhere.
func eachItem[T any](reader *itemReader, f func(*T) error) (next string, err error) {
	var metadata struct {
		Continue string `json:"continue"`
	}
	decoder := json.NewDecoder(reader)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return "", err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return "", err
		}
		switch key {
		case "metadata":
			err = decoder.Decode(&metadata)
		case "items":
			err = eachElement(decoder, reader, f)
		default:
			var ignored json.RawMessage
			err = decoder.Decode(&ignored)
		}
		if err != nil {
			return "", err
		}
		reader.used = 0
	}
	// An answer that ends before its end is none.
	return metadata.Continue, expect(decoder, json.Delim('}'))
}

func eachElement[T any](decoder *json.Decoder, reader *itemReader, f func(*T) error) error {
	begin, err := decoder.Token()
	if err != nil || begin == nil {
		// An empty list may be null.
		return err
	}
	if begin != json.Delim('[') {
		return fmt.Errorf("a list begins with %v", begin)
	}
	for decoder.More() {
		item := new(T)
		if err := decoder.Decode(item); err != nil {
			return err
		}
		reader.used = 0
		if err := f(item); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim(']'))
}

func expect(decoder *json.Decoder, delimiter json.Delim) error {
	token, err := decoder.Token()
	if err == nil && token != delimiter {
		err = fmt.Errorf("%v where %v belongs", token, delimiter)
	}
	return err
}

// itemReader fails where one object is too large.
type itemReader struct {
	io.Reader
	// total is how much was read, used how much since the last object has ended.
	total, used int64
}

func (r *itemReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.total += int64(n)
	if r.used += int64(n); r.used > maxItem {
		return 0, fmt.Errorf("an object of the member's list has more than %d bytes", maxItem)
	}
	return n, err
}
