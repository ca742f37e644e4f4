"""Reads a trace with the messages that Google publishes on PyPI (`perfetto`) and does with it what a reader of TrackEvents
does: sorts the packets by time, keeps a stack of slices for each track, and says what it found as JSON.

    read_perfetto.py FILE...

prints a line for each file.

A slice that ends on a track with no open slice, or before it began, is an error; so are tracks without a description.
"""

import json
import sys

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def value(annotation):
    kind = annotation.WhichOneof("value")
    if kind is not None:
        return getattr(annotation, kind)
    if annotation.dict_entries:
        return {entry.name: value(entry) for entry in annotation.dict_entries}
    return [value(entry) for entry in annotation.array_values]


def read(name):
    trace = Trace()
    with open(name, "rb") as file:
        trace.ParseFromString(file.read())
    assert trace.IsInitialized() and not trace.FindInitializationErrors()

    tracks, counters, slices, instants, errors, stacks = {}, {}, [], [], [], {}
    events = []
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1, packet
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            if track.uuid in tracks:
                errors.append(f"track {track.uuid} twice")
            if track.HasField("parent_uuid") and track.parent_uuid not in tracks:
                errors.append(f"track {track.name} before its parent")
            unit = track.counter.unit_name if track.HasField("counter") else None
            tracks[track.uuid] = {"name": track.name, "parent": track.parent_uuid or None, "unit": unit}
        elif packet.HasField("track_event"):
            events.append((packet.timestamp, packet.track_event))
        else:
            assert packet.HasField("clock_snapshot") or packet.WhichOneof("data") is None, packet

    # Readers sort by time; what has the same time stays in order.
    for at, event in sorted(events, key=lambda event: event[0]):
        if event.track_uuid not in tracks:
            errors.append(f"no track {event.track_uuid}")
        annotations = {one.name: value(one) for one in event.debug_annotations}
        stack = stacks.setdefault(event.track_uuid, [])
        shown = {
            "track": event.track_uuid,
            "name": event.name,
            "categories": list(event.categories),
            "at": at,
            "annotations": annotations,
            "flows": [str(flow) for flow in event.flow_ids],
            "ends_flows": [str(flow) for flow in event.terminating_flow_ids],
        }
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            shown["depth"] = len(stack)
            stack.append(shown)
            slices.append(shown)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            if not stack:
                errors.append(f"nothing to end at {at} on {tracks[event.track_uuid]['name']}")
                continue
            ended = stack.pop()
            ended["end"] = at
            ended["annotations"].update(annotations)
        elif event.type == TrackEvent.TYPE_INSTANT:
            instants.append(shown)
        elif event.type == TrackEvent.TYPE_COUNTER:
            kind = event.WhichOneof("counter_value_field")
            counters.setdefault(event.track_uuid, []).append([at, getattr(event, kind)])
        else:
            errors.append(f"type {event.type}")

    errors += [f"{shown['name']} is not ended" for stack in stacks.values() for shown in stack]
    return json.dumps(
        {
            "tracks": {str(uuid): track | {"parent": track["parent"] and str(track["parent"])} for uuid, track in tracks.items()},
            "counters": {str(uuid): values for uuid, values in counters.items()},
            "slices": [shown | {"track": str(shown["track"])} for shown in slices],
            "instants": [shown | {"track": str(shown["track"])} for shown in instants],
            "errors": errors,
        }
    )


for name in sys.argv[1:]:
    print(read(name))
