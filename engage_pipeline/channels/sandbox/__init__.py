"""The sandbox providers: Bolna, WhatsApp and Resend on a loopback port, with their contracts and none of their effects.

Its record is the witness of what reached a provider; nothing here knows the ledger.
"""
