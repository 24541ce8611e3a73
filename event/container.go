package event

// Metadata is how much is known of a container.
type Metadata uint8

// The states of a container's metadata.
const (
	MetadataPending Metadata = iota // the runtime has not answered yet: fields are unknown
	MetadataKnown
	MetadataAbsent // no runtime knows the container, or it did not answer in time
)

var metadataNames = [...]string{"pending", "known", "absent"}

func (m Metadata) String() string { return nameOf(metadataNames[:], int(m)) }

// Container is a container as enrichment knows it. Immutable once published.
type Container struct {
	ID         string // full id, from the control group
	State      Metadata
	Name       string
	ImageName  string // without tag, e.g. docker.io/library/nginx
	ImageTag   string
	Digest     string // sha256:…
	Labels     map[string]string
	Privileged bool
	Mounts     []string // source:destination:mode
	Runtime    string   // docker, containerd, cri-o, podman; from the control group's name until the runtime answers
	Start      int64    // Unix ns
	PodUID     string   // from the control group's path or the labels
}

// noContainer must stay empty: it stands for the host in every host event.
var noContainer = &Container{State: MetadataAbsent}

func container(e *Event) *Container {
	if e.Container == nil {
		return noContainer
	}
	return e.Container
}

func metadataKnown(e *Event) bool { return e.Container == nil || e.Container.State != MetadataPending }

func fromLabel(name, doc, label string) Field {
	f := derivedStr(name, 0, doc, "container.labels", func(e *Event) string { return container(e).Labels[label] })
	f.Known = metadataKnown
	return f
}

var containerFields = []Field{
	strField("container.id", 0, "Full container id, taken from the control group at the first event; empty on the host.", func(e *Event) *string { return &container(e).ID }),
	strField("container.name", 0, "Name given by the runtime.", func(e *Event) *string { return &container(e).Name }).late(),
	strField("container.image.name", 0, "Image without tag or digest.", func(e *Event) *string { return &container(e).ImageName }).late(),
	strField("container.image.tag", 0, "Image tag.", func(e *Event) *string { return &container(e).ImageTag }).late(),
	strField("container.image.digest", 0, "Image digest, sha256:….", func(e *Event) *string { return &container(e).Digest }).late(),
	{Name: "container.labels", Type: Map, Doc: "Labels of the container.", Known: metadataKnown,
		Map: func(e *Event) map[string]string { return container(e).Labels },
		set: func(e *Event, v any) error { m, err := asMap(v); container(e).Labels = m; return err }},
	boolField("container.privileged", 0, "The container was started privileged.", func(e *Event) *bool { return &container(e).Privileged }).late(),
	listField("container.mounts", 0, "Mounts, each source:destination:mode.", func(e *Event) *[]string { return &container(e).Mounts }).late(),
	strField("container.runtime", 0, "docker, containerd, cri-o or podman, as far as the control group or the runtime tells.", func(e *Event) *string { return &container(e).Runtime }),
	timeField("container.start", 0, "When the container was started.", func(e *Event) *int64 { return &container(e).Start }).late(),
	fromLabel("k8s.namespace.name", "Kubernetes namespace, from the runtime's labels.", "io.kubernetes.pod.namespace"),
	fromLabel("k8s.pod.name", "Pod name, from the runtime's labels.", "io.kubernetes.pod.name"),
	strField("k8s.pod.uid", 0, "Pod uid, from the control group's path.", func(e *Event) *string { return &container(e).PodUID }),
	fromLabel("k8s.container.name", "Container name in the pod, from the runtime's labels.", "io.kubernetes.container.name"),
}
