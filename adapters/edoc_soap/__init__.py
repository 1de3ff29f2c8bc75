"""A provincial axis over SOAP that speaks the operations of Bkav eDoc (vxp-protocol 8.1, 9).

profile    how one province speaks: read from conf/soap/*.toml; settings: one account on one axis
contract   our WSDL through zeep: bodies built and answers read; nothing is ever fetched
trees      XML headers as small trees; older: edXML 1.0 from QCVN 102 and back, what is lost named
forms      packages as they leave: parts of a message, one element, a status
arriving   packages as they come, streamed into a sink
outcomes   what an answer or a failure means for an attempt; pure
security   the X.509 token and the signature of WS-Security
axis       we are the client; simulator: the axis, with faults on demand
"""
