//! The network device alone: random frames both ways, idle cycles and backpressure, against a model of what must come of them.
mod drain;
mod hostile;
mod jumbo;
mod packet;
mod receive;
mod speed;
mod transmit;
mod world;
