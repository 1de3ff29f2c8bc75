"""A province's document axis that speaks REST v1, as `vxp-protocol` 8.3 describes it.

profile    what differs between provinces: paths, words, error codes, tokens; data of conf/axes
settings   what the operator configures for one such axis
form       a package on its way out, as multipart/form-data of a length known before
words      their JSON: answers, lists, the stream in which a package comes; pure
outcomes   what an answer or a failure means for an attempt; pure
login      the bearer token, renewed before it ends
axis       we are the client
simulator  the axis, with faults on demand; depot takes and lays out packages
"""
