//! Who hears whom: takes packets, says where they go and what is taped.
