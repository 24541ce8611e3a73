package enrich

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"

	"eunomia/event"
)

// Bounds of what is kept of what a container's author chose.
const (
	maxLabels     = 64
	maxLabelKey   = 256
	maxLabelValue = 1024
	maxMounts     = 64
	maxText       = 512
	maxImages     = 1024
)

// imageFacts is what the runtime tells of an image.
type imageFacts struct {
	tags    []string // repository:tag
	digests []string // repository@sha256:…
}

// imageCache remembers images by id. Safe for concurrent use.
type imageCache struct {
	mu    sync.Mutex
	facts map[string]imageFacts
}

// image returns the image's facts, which an image id never changes except for tags.
func (q *inspections) image(ctx context.Context, id string) imageFacts {
	q.images.mu.Lock()
	facts, ok := q.images.facts[id]
	q.images.mu.Unlock()
	if ok || id == "" {
		return facts
	}
	i, err := q.api.ImageInspect(ctx, id)
	if err != nil { // removed while its containers live on
		return facts
	}
	facts = imageFacts{i.RepoTags, i.RepoDigests}
	q.images.mu.Lock()
	defer q.images.mu.Unlock()
	if q.images.facts == nil {
		q.images.facts = make(map[string]imageFacts)
	}
	if len(q.images.facts) >= maxImages {
		clear(q.images.facts)
	}
	q.images.facts[id] = facts
	return facts
}

// describe turns the runtime's answer into a bounded container.
func describe(about container.InspectResponse, image imageFacts) *event.Container {
	c := &event.Container{Name: cut(strings.TrimPrefix(about.Name, "/"), maxText), Runtime: "docker"}
	if about.Config != nil {
		c.Labels = labels(about.Config.Labels)
		c.PodUID = c.Labels["io.kubernetes.pod.uid"]
		c.ImageName, c.ImageTag, c.Digest = imageNames(about.Config.Image, about.Image, image)
	}
	if about.HostConfig != nil {
		c.Privileged = about.HostConfig.Privileged
	}
	for _, m := range about.Mounts {
		if len(c.Mounts) == maxMounts {
			break
		}
		mode := "ro"
		if m.RW {
			mode = "rw"
		}
		c.Mounts = append(c.Mounts, cut(m.Source, maxText)+":"+cut(m.Destination, maxText)+":"+mode)
	}
	if about.State != nil {
		if start, err := time.Parse(time.RFC3339Nano, about.State.StartedAt); err == nil && start.Year() > 1 {
			c.Start = start.UnixNano()
		}
	}
	return c
}

// imageNames splits what the container was created from, e.g. nginx:1.27 or
// registry:5000/team/app@sha256:…, into its full name, tag and digest. A container
// made from an image id takes the image's first tag. The digest is the repository's;
// an image that never saw a registry has its own id instead.
func imageNames(given, id string, image imageFacts) (name, tag, digest string) {
	if hex := strings.TrimPrefix(id, "sha256:"); strings.HasPrefix(given, "sha256:") || len(given) >= 12 && strings.HasPrefix(hex, given) {
		given = ""
		if len(image.tags) > 0 {
			given = image.tags[0]
		}
	}
	if named, err := reference.ParseNormalizedNamed(given); err == nil {
		name = named.Name()
		if tagged, ok := named.(reference.Tagged); ok {
			tag = tagged.Tag()
		}
		if digested, ok := named.(reference.Digested); ok {
			digest = digested.Digest().String()
		} else if tag == "" {
			tag = "latest"
		}
	} else {
		name = given
	}
	for _, d := range image.digests {
		if digest != "" {
			break
		}
		if named, err := reference.ParseNormalizedNamed(d); err == nil && named.Name() == name {
			if digested, ok := named.(reference.Digested); ok {
				digest = digested.Digest().String()
			}
		}
	}
	if digest == "" {
		digest = id
	}
	return cut(name, maxText), cut(tag, 128), cut(digest, 256)
}

// labels keeps those that the orchestrator sets, then the others by name, so that
// what is left out does not change from one time to the next.
func labels(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	keys := make([]string, 0, len(all))
	for k := range all {
		if k != "" && len(k) <= maxLabelKey {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		ka, kb := strings.HasPrefix(a, "io.kubernetes."), strings.HasPrefix(b, "io.kubernetes.")
		if ka != kb {
			if ka {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	keys = keys[:min(len(keys), maxLabels)]
	kept := make(map[string]string, len(keys))
	for _, k := range keys {
		kept[strings.Clone(k)] = cut(all[k], maxLabelValue)
	}
	return kept
}

// cut shortens s to at most limit bytes without splitting a character, and lets go
// of the rest's memory.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	if len(s) > 0 && s[len(s)-1] >= utf8.RuneSelf {
		s = s[:len(s)-1]
	}
	return strings.Clone(s)
}
