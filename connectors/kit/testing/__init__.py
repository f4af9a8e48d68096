"""The suite that every system must pass: its ERP does business, and what is published must be its books.

Tests lend it two things by the Protocols in `ports`: an ERP that can be made to do things, and a hub's
connector to it. Cases are functions in `protocol` and `accounting`, listed in `suite`, which makes them
tests of every system. Refuses to pass over a case in silence: what an ERP cannot have is said with a reason
and stands on the system's card.
"""
